"""How texts are shown, pure; shared with the client as ``chatd.protocol`` is.

``safe`` makes texts of other people harmless for a terminal, and measures them in
cells.
"""

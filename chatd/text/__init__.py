"""Pure text processing for display, shared with the client like ``chatd.protocol``.

``safe`` makes untrusted text safe for a terminal, and measures it in cells.
"""

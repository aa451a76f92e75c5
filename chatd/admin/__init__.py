"""Administration: the commands of ``chatd user``, ``invite``, ``backup`` and ``check``.

``commands`` are the values sent over the admin socket; ``administration``
carries them out; ``client`` sends them to a running daemon, or opens the data folder
itself when none runs; ``checks`` examines a data folder.
"""

"""Storage of chats, files and small records: interfaces and implementations.

``base`` is the store's interface, with its rules; ``values`` are what it takes and
returns; ``sqlite`` is the implementation that needs nothing but the data folder.
``blobs`` is the interface for the contents of files, ``disk`` its implementation. The
core does not know which implementations it has.
"""

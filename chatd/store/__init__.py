"""Storage of chats, files and small records: interfaces and implementations.

``commands`` are the writes, as values; ``values`` are what else a store takes and
returns. ``base`` is the store's interface, with its rules: the union of ``log_store``,
``chat_store``, ``file_store`` and what is left. ``open`` picks the engine; ``sqlite``
is the one that needs nothing but the data folder. ``blobs`` is the interface for the
contents of files, ``disk`` its implementation. The core does not know which
implementations it has.
"""

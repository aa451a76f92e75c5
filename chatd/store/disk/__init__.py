"""The contents of files in a folder of the data folder.

    blobs/ab/abcd…       a content, named by its SHA-256
    blobs/incoming/ID    what has come in of an upload
    blobs/incoming/ID.new    on its way to be a content

``files`` has what is done to single files and folders; ``receiving`` writes uploads;
``content`` reads; ``blobs`` puts them together behind ``chatd.store.blobs.Blobs``.
"""

from chatd.store.disk.blobs import DiskBlobs

__all__ = ["DiskBlobs"]

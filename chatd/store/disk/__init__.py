"""File contents and uploads in a folder of the data folder.

    blobs/ab/abcd…           a content, named by its SHA-256
    blobs/incoming/ID        the bytes received of an upload
    blobs/incoming/ID.new    a temporary name, for instance before it becomes a content

``files`` has functions for single files and folders; ``receiving`` writes uploads;
``content`` reads contents; ``threads`` runs what blocks; ``blobs`` puts them together
behind ``chatd.store.blobs.Blobs``.
"""

from chatd.store.disk.blobs import DiskBlobs

__all__ = ["DiskBlobs"]

"""Backups: written while the daemon runs, restored into an empty data folder.

``archive`` is the form on disk and ``contents`` the folder of file contents that
backups share; ``backup`` writes them, ``restore`` reads them, ``prune`` removes
contents that no backup needs any more.
"""

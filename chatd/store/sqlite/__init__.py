"""The embedded store: one SQLite database in the data folder.

``database`` owns the connections and the two kinds of threads; ``migrations`` makes and
upgrades the schema; ``machine`` applies the commands of a commit, with ``changes``,
``files`` and ``log``, which writes what is appended; ``queries`` reads logs and
memberships; ``store`` puts them together behind ``chatd.store.base.Store``; ``copies``
looks into a backup.
"""

from chatd.store.sqlite.copies import SqliteCopy
from chatd.store.sqlite.store import SqliteStore

__all__ = ["SqliteCopy", "SqliteStore"]

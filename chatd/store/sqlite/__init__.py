"""The embedded store: one SQLite database in the data folder.

``database`` owns the connections and the two kinds of threads; ``migrations`` makes and
upgrades the schema; ``log`` writes what a commit appends; ``queries`` reads logs and
memberships; ``files`` keeps the records of files; ``store`` (with ``file_records``)
puts them together behind ``chatd.store.base.Store``.
"""

from chatd.store.sqlite.migrations import renew_log_id
from chatd.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore", "renew_log_id"]

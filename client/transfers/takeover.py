"""What a start finds of processes that are gone: files half moved, copies half made."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from client.transfers.journal import Journal
from client.transfers.partial import remove
from client.transfers.private import sweep_private
from client.transfers.rows import Row
from client.transfers.spool import list_spool, sweep


def take_over(
    path: Path | None,
    spool: Path,
    on_notice: Callable[[str], None],
    passing: Path | None = None,
) -> Journal:
    """Open the journal, and clear away what nobody can go on with; this blocks.

    A copy that was not complete when its process died is removed, for the rest of the
    stream is lost.

    Args:
        path: The journal's; None keeps it in memory.
        spool: The folder of the copies.
        on_notice: Told, in a sentence, when something was wrong with the journal.
        passing: The folder of files that were to be printed.

    Raises:
        JournalError: It cannot be used.
    """
    found = list_spool(spool)
    journal = Journal(path, on_notice)
    journal.adopted = [row for row in journal.adopted if _is_whole(journal, row)]
    sweep(found, journal.paths())
    if passing is not None:
        with contextlib.suppress(OSError):
            sweep_private(passing)
    return journal


def _is_whole(journal: Journal, row: Row) -> bool:
    if not row.is_spool or (row.sha256 is not None and not row.is_cancelled):
        return True
    if row.path is not None:
        remove(row.path)
    if row.is_cancelled:
        return True
    journal.remove(row)
    return False

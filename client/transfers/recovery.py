"""Recovery at start: takes over what ended processes left, removes the rest."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from client.transfers.journal import Journal
from client.transfers.partial_file import remove
from client.transfers.private_folder import sweep_private
from client.transfers.records import TransferRecord
from client.transfers.stream_copy import list_spool, sweep


def take_over(
    path: Path | None,
    spool: Path,
    on_notice: Callable[[str], None],
    passing: Path | None = None,
) -> Journal:
    """Open the journal, and remove what cannot be resumed; this blocks.

    A copy of a stream that was not complete when its process died is removed, for the
    rest of the stream is lost.

    Args:
        path: The journal's; None keeps it in memory.
        spool: The folder of the copies.
        on_notice: Called with a sentence when something was wrong with the journal.
        passing: The folder of files that were fetched to be printed.

    Raises:
        JournalError: It cannot be used.
    """
    found = list_spool(spool)
    journal = Journal(path, on_notice)
    journal.adopted = [
        record for record in journal.adopted if _is_whole(journal, record)
    ]
    sweep(found, journal.paths())
    if passing is not None:
        with contextlib.suppress(OSError):
            sweep_private(passing)
    return journal


def _is_whole(journal: Journal, record: TransferRecord) -> bool:
    if not record.is_spool or (record.sha256 is not None and not record.is_cancelled):
        return True
    if record.path is not None:
        remove(record.path)
    if record.is_cancelled:
        return True
    journal.remove(record)
    return False

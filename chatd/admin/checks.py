"""Checks of a data folder: permissions, TLS material, user table, database, files.

Leftovers of files are removed: contents that no message refers to, and abandoned
uploads. Nothing else is changed, and a running daemon is not disturbed.
"""

import asyncio
import datetime
import stat
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from chatd.accounts.user_table import TABLE_FILE, DamagedTableError, read_table
from chatd.protocol.errors import UnavailableError
from chatd.settings.config import TlsSettings
from chatd.settings.data_folder import BLOBS_FOLDER, DATABASE_FILE, TLS_FOLDER
from chatd.settings.tls import CERTIFICATE_FILE, KEY_FILE, TlsError, read_tls
from chatd.store.base import Store
from chatd.store.blobs import Blobs

_WARN_DAYS = 14
_SECRETS = (TABLE_FILE, DATABASE_FILE, f"{TLS_FOLDER}/{KEY_FILE}", BLOBS_FOLDER)


class Upkeep(Protocol):
    """Removes leftovers of files; implemented by ``chatd.core.files.sweep.Sweeper``."""

    async def sweep(self) -> int:
        """Remove all leftover contents and uploads; return how many there were."""

    def holding_removals(self) -> AbstractAsyncContextManager[None]:
        """Hold back the removal of contents within this context."""


class Checked(Struct, frozen=True):
    """The result of checking one part: a summary, and every problem found."""

    part: str
    summary: str
    problems: list[str]


async def check_all(
    data: Path, tls: TlsSettings, store: Store, blobs: Blobs, upkeep: Upkeep
) -> list[Checked]:
    """Check everything, the database and the files through the open stores."""
    checked = await asyncio.to_thread(check_small, data, tls)
    return [*checked, *await check_stored(data, store, blobs, upkeep)]


def check_small(data: Path, tls: TlsSettings) -> list[Checked]:
    """Check everything but database and files; blocks on the disk."""
    now = datetime.datetime.now(datetime.UTC)
    return [check_folder(data), check_tls(data, tls, now), check_table(data)]


def check_no_database(data: Path) -> Checked:
    """Check that a missing database is not a lost one, as files would show."""
    path = data / DATABASE_FILE
    if next((data / BLOBS_FOLDER).glob("??/*"), None) is None:
        return Checked("database", "none yet: made at the first start", [])
    problem = f"{path} is gone, but there are files: restore it from a backup"
    return Checked("database", str(path), [problem])


async def check_stored(
    data: Path, store: Store, blobs: Blobs, upkeep: Upkeep
) -> list[Checked]:
    """Check the database, read all contents of files, and remove leftovers.

    If the database is damaged, nothing is removed: it may not name all contents that
    are in use.
    """
    problems = list(await store.check())
    database = Checked("database", str(data / DATABASE_FILE), problems)
    if problems:
        summary = "not looked at, as the database is damaged"
        return [database, Checked("files", summary, [])]
    return [database, await _check_contents(data, store, blobs, upkeep)]


async def _check_contents(
    data: Path, store: Store, blobs: Blobs, upkeep: Upkeep
) -> Checked:
    damages: dict[str, str] = {}
    async with upkeep.holding_removals():
        contents = await store.contents()
        for sha256, size in contents.items():
            for sentence in await blobs.verify({sha256: size}):
                damages[sha256] = sentence
        names = await store.name_files(damages)
    problems = [
        f"{names.get(sha256, 'a file')}: {sentence}"
        for sha256, sentence in damages.items()
    ]
    try:
        swept = await upkeep.sweep()
    except UnavailableError as error:
        swept = 0
        problems.append(f"what is left over could not be removed: {error.reason}")
    left = 0 if contents else len(await blobs.list_contents())
    if left:
        problems.append(
            f"{left} contents are there, but the database knows no file: restore it"
            f" from a backup, or remove {data / BLOBS_FOLDER} by hand"
        )
    count, size = len(contents), sum(contents.values())
    summary = f"{count} content{'' if count == 1 else 's'}, {size} bytes"
    if swept:
        summary += f"; {swept} left over {'was' if swept == 1 else 'were'} removed"
    return Checked("files", summary, problems)


def check_folder(data: Path) -> Checked:
    """Check that other users of the system cannot read or write secrets."""
    # In a folder that is closed to others, the modes of files do not matter.
    names = _SECRETS if _is_open_to_others(data, 0o011) else ()
    paths = [data / name for name in names]
    problems = [
        f"{path} can be read or written by others: run chmod go-rwx {path}"
        for path in paths
        if _is_open_to_others(path, 0o066)
    ]
    return Checked("data folder", str(data), problems)


def _is_open_to_others(path: Path, bits: int) -> bool:
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & bits)
    except OSError:
        # What is missing or unreadable is reported by the check that reads it.
        return False


def check_tls(data: Path, tls: TlsSettings, now: datetime.datetime) -> Checked:
    """Check that certificate and key can be used, and for how long."""
    own = data / TLS_FOLDER
    is_own = not tls.certificate
    certificate = own / CERTIFICATE_FILE if is_own else Path(tls.certificate)
    key = own / KEY_FILE if is_own else Path(tls.key)
    if is_own and not key.exists() and not certificate.exists():
        return Checked("TLS key", "none yet: made at the first start", [])
    try:
        material = read_tls(certificate, key, is_own=is_own)
    except TlsError as error:
        return Checked("TLS key", str(key), [str(error)])
    problems = []
    days = (material.expires - now).days
    # Our own certificate is renewed at a start, long before it expires.
    if days < _WARN_DAYS:
        remedy = "restart chatd" if is_own else "renew it, then send SIGHUP to chatd"
        when = "has expired" if days < 0 else f"expires in {days} days"
        problems.append(f"the certificate {certificate} {when}: {remedy}")
    return Checked("TLS key", f"fingerprint {material.fingerprint}", problems)


def check_table(data: Path) -> Checked:
    """Check that the user table can be read."""
    path = data / TABLE_FILE
    try:
        table = read_table(path.resolve())
    except DamagedTableError as error:
        return Checked("user table", str(path), [str(error)])
    if table is None:
        if (data / DATABASE_FILE).exists():
            problem = f"{path} is gone: restore it from a backup"
            return Checked("user table", str(path), [problem])
        return Checked("user table", "none yet: made at the first start", [])
    count = sum(not record.deleted for record in table)
    return Checked("user table", f"{count} user{'' if count == 1 else 's'}", [])


def count_problems(checked: list[Checked], say: Callable[[str], None]) -> int:
    """Report the results, a line per part and problem; return how many problems."""
    problems = 0
    for each in checked:
        say(f"{each.part}: {each.summary}: {'PROBLEM' if each.problems else 'ok'}")
        for problem in each.problems:
            say(f"  {problem}")
        problems += len(each.problems)
    return problems

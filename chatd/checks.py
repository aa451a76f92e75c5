"""Checks of a data folder: permissions, TLS material, user table, database.

Nothing is changed, and a running daemon is not disturbed.
"""

import asyncio
import datetime
import stat
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from chatd.accounts.table import TABLE_FILE, DamagedTableError, read_table
from chatd.config import TlsSettings
from chatd.datadir import DATABASE_FILE, TLS_FOLDER
from chatd.store.base import Store
from chatd.tls import CERTIFICATE_FILE, KEY_FILE, TlsError, read_tls

_WARN_DAYS = 14
_SECRET_FILES = (TABLE_FILE, DATABASE_FILE, f"{TLS_FOLDER}/{KEY_FILE}")


class Checked(Struct, frozen=True):
    """One part that was checked: what there is, and every problem found."""

    part: str
    summary: str
    problems: list[str]


async def check_all(data: Path, tls: TlsSettings, store: Store) -> list[Checked]:
    """Check everything, the store with its own means."""
    checked = await asyncio.to_thread(check_files, data, tls)
    problems = list(await store.check())
    return [*checked, Checked("database", str(data / DATABASE_FILE), problems)]


def check_files(data: Path, tls: TlsSettings) -> list[Checked]:
    """Check everything but the database; blocks for the disk."""
    now = datetime.datetime.now(datetime.UTC)
    return [check_folder(data), check_tls(data, tls, now), check_table(data)]


def check_folder(data: Path) -> Checked:
    """Check that nobody else can read what is secret."""
    # Behind a folder that is closed to others the modes of files do not matter.
    names = _SECRET_FILES if _is_open_to_others(data, 0o011) else ()
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
        # What is missing or unreadable is found where it is read.
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
    # Our own is renewed at every start, long before.
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
    """Tell each part's outcome, one line per part and problem; return how many."""
    problems = 0
    for each in checked:
        say(f"{each.part}: {each.summary}: {'PROBLEM' if each.problems else 'ok'}")
        for problem in each.problems:
            say(f"  {problem}")
        problems += len(each.problems)
    return problems

"""Output of the command line (tables, reports), and its password prompt."""

import datetime
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from chatd.backup.backup import BackupReport
from chatd.backup.prune import Pruned
from chatd.backup.restore import Restored
from chatd.settings.data_folder import BLOBS_FOLDER

Json = dict[str, Any]


class InputError(Exception):
    """An input is missing or cannot be read; the sentence says what to do."""


def read_new_password(command: str | None, from_stdin: bool) -> str:
    """Return a new password from a command, from standard input, or from a prompt.

    The prompt asks for it twice.

    Raises:
        InputError: There is none, or both sources were given.
    """
    if command is not None and from_stdin:
        raise InputError("give --password-command or --password-stdin, not both")
    if command is not None:
        return _first_line(_output_of(command), "the password command printed nothing")
    if from_stdin:
        return _first_line(sys.stdin.readline(), "there is no line on standard input")
    if not sys.stdin.isatty():
        raise InputError(
            "there is no terminal to ask for the password: use --password-stdin or"
            " --password-command"
        )
    password: str = click.prompt(
        "New password", hide_input=True, confirmation_prompt="Once more"
    )
    return password


def forever_days(days: float) -> float | None:
    """Return the days that a code is valid; None (for ever) if ``days`` is 0."""
    return days or None


def show_users(users: list[Json]) -> None:
    """Print the accounts as a table."""
    rows = [
        (
            user["name"],
            user["role"],
            "disabled" if user["disabled"] else "",
            format_time(user["created"]),
        )
        for user in users
    ]
    show_table(("NAME", "ROLE", "STATE", "CREATED"), rows, "there are no users yet")


def show_logins(logins: list[Json]) -> None:
    """Print a user's logins as a table."""
    rows = [
        (
            login["id"],
            login["device"],
            login["client"],
            format_time(login["created"]),
            format_time(login["used"])[:10],
        )
        for login in logins
    ]
    head = ("ID", "DEVICE", "CLIENT", "CREATED", "LAST USED")
    show_table(head, rows, "no device is logged in for good")


def show_invites(invites: list[Json]) -> None:
    """Print the invite codes as a table."""
    rows = [
        (
            invite["code"],
            f"{len(invite['used_by'])} of {invite['uses']}",
            format_time(invite["expires"]),
            " ".join(invite["used_by"]),
        )
        for invite in invites
    ]
    head = ("CODE", "USED", "VALID UNTIL", "USED BY")
    show_table(head, rows, "there are no invite codes")


def show_invite(invite: Json) -> None:
    """Print a new invite code and the links that carry it."""
    uses = "once" if invite["uses"] == 1 else f"{invite['uses']} times"
    click.echo(
        f"invite code {invite['code']}, to be used {uses},"
        f" valid until {format_time(invite['expires'])}"
    )
    for link in invite["links"]:
        click.echo(link)
    if not invite["links"]:
        click.echo(
            "only this machine can connect: add a tls:// address that is not loopback"
            " to [server] listen to get a link that works for others",
            err=True,
        )
    if invite["registration"] == "closed":
        click.echo(
            "nobody can use it while [accounts] registration is closed: set it to"
            ' "invite"',
            err=True,
        )


def show_backup(file: Path, report: BackupReport) -> None:
    """Print a backup's report, and what is missing in it to standard error."""
    if report.copied or report.kept:
        click.echo(
            f"{file.parent / BLOBS_FOLDER}: copied {_contents(report.copied)}"
            f" ({report.copied_bytes} bytes), {_contents(report.kept)}"
            f" ({report.kept_bytes} bytes) there already"
        )
    state = "without what is missing" if report.missing else "complete"
    click.echo(f"{file}: {report.size} bytes, {state}")
    _show_missing(report.missing, report.problems)


def show_pruned(folder: Path, pruned: Pruned) -> None:
    """Print what was pruned."""
    backups = f"{pruned.backups} backup{'' if pruned.backups == 1 else 's'}"
    click.echo(
        f"{folder / BLOBS_FOLDER}: {_contents(pruned.removed)} removed"
        f" ({pruned.removed_bytes} bytes), {_contents(pruned.kept)} of {backups} kept"
    )


def show_restored(data: Path, restored: Restored) -> None:
    """Print what was restored, and what is missing to standard error."""
    if restored.contents:
        click.echo(
            f"{_contents(restored.contents)} of files restored"
            f" ({restored.contents_bytes} bytes)"
        )
    time = restored.manifest.time
    click.echo(f"{data} is as it was at {time:%Y-%m-%d %H:%M:%S} UTC")
    _show_missing(restored.missing, restored.problems)


def _show_missing(missing: int, problems: list[str]) -> None:
    if missing:
        click.echo(
            f"{_contents(missing)} of files missing; who uploads the same file again"
            " brings it back:",
            err=True,
        )
    for problem in problems:
        click.echo(f"  {_printable(problem)}", err=True)


def _contents(count: int) -> str:
    return f"{count} content{'' if count == 1 else 's'}"


def show_table(
    head: Sequence[str], rows: Iterable[Sequence[str]], if_none: str
) -> None:
    """Print rows in aligned columns; unprintable characters, as in names, become ?."""
    table = [head, *([_printable(cell) for cell in row] for row in rows)]
    if len(table) == 1:
        click.echo(if_none, err=True)
        return
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def format_time(time_ms: int | None) -> str:
    """Return a time of the wall clock, to the minute, in the local zone."""
    if time_ms is None:
        return "for ever"
    time = datetime.datetime.fromtimestamp(time_ms / 1000, datetime.UTC).astimezone()
    return time.strftime("%Y-%m-%d %H:%M")


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _output_of(command: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  # the administrator's own command
            shlex.split(command), stdout=subprocess.PIPE, text=True, check=True
        )
    except (OSError, ValueError, subprocess.CalledProcessError) as error:
        raise InputError(f"the password command failed: {error}") from error
    return done.stdout


def _first_line(text: str, if_none: str) -> str:
    line = text.split("\n", 1)[0].rstrip("\r")
    if not line:
        raise InputError(if_none)
    return line

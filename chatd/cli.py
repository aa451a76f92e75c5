"""The command ``chatd``: runs the daemon, or administers it.

Every command calls one function elsewhere. An expected error ends the command with one
sentence on standard error and exit status 2.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import click
from msgspec import convert

from chatd import __version__
from chatd.accounts.user_table import DamagedTableError
from chatd.admin import commands
from chatd.admin.checks import Checked, count_problems
from chatd.admin.client import AdminError, carry_out
from chatd.backup.archive import BackupError
from chatd.backup.backup import BackupReport
from chatd.backup.prune import prune_contents
from chatd.backup.restore import restore_backup
from chatd.cli_text import (
    InputError,
    forever_days,
    read_new_password,
    show_backup,
    show_invite,
    show_invites,
    show_logins,
    show_pruned,
    show_restored,
    show_users,
)
from chatd.protocol.errors import ChatError
from chatd.protocol.names import parse_user_name
from chatd.settings.config import ConfigError, Settings, load_config
from chatd.settings.data_folder import DataFolder, DataFolderError
from chatd.settings.tls import TlsError
from chatd.store.base import StoreError

EXPECTED_ERRORS = (
    AdminError,
    BackupError,
    ChatError,
    ConfigError,
    DamagedTableError,
    DataFolderError,
    InputError,
    StoreError,
    TlsError,
)
DEFAULT_FILE = Path("config.toml")

password_option = click.option(
    "--password-command",
    metavar="COMMAND",
    help="Run COMMAND, without a shell; its first line is the password.",
)
stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input."
)


def main() -> None:
    """Run the command line; the entry point of ``chatd``."""
    # All files that the daemon creates are for its own user alone.
    os.umask(0o077)
    try:
        cli(prog_name="chatd")
    except EXPECTED_ERRORS as error:
        click.echo(f"chatd: {error}", err=True)
        sys.exit(2)


@click.group(invoke_without_command=True)
@click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The configuration (default: ./config.toml if there is one).",
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The data folder, whatever the configuration says.",
)
@click.version_option(__version__, message="chatd %(version)s")
@click.pass_context
def cli(context: click.Context, file: Path | None, data: Path | None) -> None:
    """Serve chats; without a COMMAND, in the foreground until Ctrl+C.

    All other commands work beside a running chatd as well as without one.
    """
    if file is None and DEFAULT_FILE.exists():
        file = DEFAULT_FILE
    context.obj = load_config(file, data)
    if context.invoked_subcommand is None:
        # Not at the top: the other commands start faster without the server.
        from chatd.server import run

        context.exit(run(context.obj))


# Users ------------------------------------------------------------------------------


@cli.group()
def user() -> None:
    """Add, list and change accounts."""


@user.command("add")
@click.argument("name")
@click.option("--admin", is_flag=True, help="Make the user an administrator.")
@password_option
@stdin_option
@click.pass_obj
def user_add(
    settings: Settings,
    name: str,
    admin: bool,
    password_command: str | None,
    password_stdin: bool,
) -> None:
    """Make an account; asks for its password."""
    # Refuse a bad name before the user is asked for a password twice.
    parse_user_name(name)
    password = read_new_password(password_command, password_stdin)
    made = _ask(settings, commands.AddUser(name, password, admin))
    click.echo(f"user {made} was added")


@user.command("list")
@click.pass_obj
def user_list(settings: Settings) -> None:
    """List all accounts."""
    show_users(_ask(settings, commands.ListUsers()))


@user.command("passwd")
@click.argument("name")
@password_option
@stdin_option
@click.pass_obj
def user_passwd(
    settings: Settings,
    name: str,
    password_command: str | None,
    password_stdin: bool,
) -> None:
    """Give a user another password, and log out all devices."""
    password = read_new_password(password_command, password_stdin)
    changed = _ask(settings, commands.SetPassword(name, password))
    click.echo(f"user {changed} has the new password; all devices were logged out")


@user.command("disable")
@click.argument("name")
@click.pass_obj
def user_disable(settings: Settings, name: str) -> None:
    """Lock a user out until "enable"."""
    changed = _ask(settings, commands.DisableUser(name))
    click.echo(f"user {changed} was disabled")


@user.command("enable")
@click.argument("name")
@click.pass_obj
def user_enable(settings: Settings, name: str) -> None:
    """Let a disabled user in again."""
    changed = _ask(settings, commands.EnableUser(name))
    click.echo(f"user {changed} was enabled")


@user.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def user_delete(settings: Settings, name: str, yes: bool) -> None:
    """End an account for good; its messages stay, its name is never given again."""
    if not yes:
        click.confirm(
            f"Delete user {name} for good? The name can never be used again",
            abort=True,
        )
    deleted = _ask(settings, commands.DeleteUser(name))
    click.echo(f"user {deleted} was deleted")


@user.command("logins")
@click.argument("name")
@click.option("--revoke", metavar="ID", help="Log out the device with this id.")
@click.pass_obj
def user_logins(settings: Settings, name: str, revoke: str | None) -> None:
    """List the devices that are logged in, or log one out."""
    if revoke is None:
        show_logins(_ask(settings, commands.ListLogins(name)))
        return
    _ask(settings, commands.RevokeLogin(name, revoke))
    click.echo(f"login {revoke} has ended")


# Invite codes -----------------------------------------------------------------------


@cli.group(invoke_without_command=True)
@click.option("--uses", metavar="N", default=1, help="How many may register by it (1).")
@click.option(
    "--days",
    metavar="D",
    default=7.0,
    help="How many days it is valid (7); 0 for ever.",
)
@click.pass_context
def invite(context: click.Context, uses: int, days: float) -> None:
    """Make an invite code and print the link to give away."""
    if context.invoked_subcommand is None:
        command = commands.CreateInvite(uses, forever_days(days))
        show_invite(_ask(context.obj, command))


@invite.command("list")
@click.pass_obj
def invite_list(settings: Settings) -> None:
    """List all invite codes."""
    show_invites(_ask(settings, commands.ListInvites()))


@invite.command("revoke")
@click.argument("code")
@click.pass_obj
def invite_revoke(settings: Settings, code: str) -> None:
    """End an invite code."""
    _ask(settings, commands.RevokeInvite(code))
    click.echo("the invite code has ended")


# Operations -------------------------------------------------------------------------


@cli.command()
@click.pass_obj
def check(settings: Settings) -> None:
    """Check configuration, data folder, key, accounts, database and files.

    It reads all files, and removes what is left over of them: contents that no message
    refers to, and uploads given up a day ago. Exit status 1 if there is a problem.
    """
    click.echo(f"configuration: {settings.file or 'defaults, no file'}: ok")
    answer = _ask(settings, commands.Check())
    problems = count_problems(convert(answer, list[Checked]), click.echo)
    if problems:
        click.echo(f"{problems} problem{'s' if problems > 1 else ''} found", err=True)
        sys.exit(1)


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_obj
def backup(settings: Settings, file: Path) -> None:
    """Write everything into the new FILE, also while chatd runs.

    The contents of files go into the folder "blobs" beside FILE, which all backups
    there share: only those that it does not have yet are copied. Both belong together.

    It holds messages, accounts and the server's key: keep it where nobody else can read
    it. The configuration is not in it. Exit status 1 if the backup was written, but
    without files that are missing or damaged in the data folder.
    """
    answer = _ask(settings, commands.Backup(str(file.absolute())))
    report = convert(answer, BackupReport)
    show_backup(file, report)
    sys.exit(1 if report.missing else 0)


@cli.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def prune(folder: Path) -> None:
    """Remove the contents of files that no backup in DIR needs any more.

    To be used after old backups were deleted from DIR. Every file in DIR has to be a
    backup; if one cannot be read, nothing is removed.
    """
    show_pruned(folder, prune_contents(folder))


@cli.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--incomplete",
    is_flag=True,
    help="Restore also if the contents of files are missing or damaged.",
)
@click.pass_obj
def restore(settings: Settings, file: Path, incomplete: bool) -> None:
    """Restore a backup into an empty data folder; chatd must not run.

    The contents of files are taken from the folder "blobs" beside FILE. Exit status 1
    if all was restored but files that were lost already, or with --incomplete are.
    """
    with DataFolder.open(settings.data) as folder:
        restored = restore_backup(file, folder, is_incomplete_fine=incomplete)
    show_restored(settings.data, restored)
    sys.exit(1 if restored.missing else 0)


def _ask(settings: Settings, command: commands.AnyCommand) -> Any:
    return asyncio.run(carry_out(settings, command))

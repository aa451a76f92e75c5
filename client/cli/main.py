"""The program ``chat``: its commands, options and exit statuses.

0   done
1   it failed, or was refused; the reason is on stderr
2   it was used wrongly
75  no answer in time: try again later
130 it was ended by Ctrl+C
"""

import difflib
from collections.abc import Sequence
from typing import Literal

import click

from chatd import __version__
from chatd.text.safe import clean
from client.cli import chat_commands, config_command, file_commands, gc_tuning
from client.cli.first_run import FirstRun, Options
from client.cli.options import (
    ADDRESS,
    identity,
    password_source,
    sentence,
    with_plain_errors,
)
from client.cli.questions import TerminalQuestions
from client.net.address import ServerAddress
from client.storage.paths import Paths
from client.storage.pins import PinStore
from client.storage.saved_logins import SavedLogins


class ChatGroup(click.Group):
    """The root group: commands by name; anything else is a server's address to open."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert ``open`` where the first argument is not a command."""
        if not args or (args[0] not in self.commands and args[0] not in _GROUP_OPTIONS):
            _check_typo(args, self.list_commands(ctx))
            args = ["open", *args]
        return super().parse_args(ctx, args)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both forms of use."""
        formatter.write_usage("chat", "[ADDRESS | JOIN LINK] [OPTIONS]")
        formatter.write_usage("chat", "COMMAND …", prefix="       ")


_GROUP_OPTIONS = ("--help", "-h", "--version")


def _check_typo(args: Sequence[str], commands: Sequence[str]) -> None:
    first = args[0] if args else ""
    if first.startswith("-") or any(sign in first for sign in ".:[/"):
        return
    close = difflib.get_close_matches(first, commands, 1, 0.7)
    if close and first != "localhost":
        raise click.UsageError(
            f"there is no command '{first}': did you mean 'chat {close[0]}'? "
            f"(for a server of that name: chat tls://{first})"
        )


@click.group(
    cls=ChatGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 88},
    epilog="A password is asked for, or taken from --password-command or the variable "
    "CHAT_PASSWORD. CHAT_HOME puts everything that is kept into one folder.",
)
@click.version_option(__version__, prog_name="chat")
def main() -> None:
    """Chat in the terminal.

    Without a command it opens the chat: at the server of last time, or at the ADDRESS
    or with the JOIN LINK given. What is missing is asked for. Inside, F1 or /help lists
    what you can do.

    It takes the full screen; --line is a prompt with lines above it, and --plain
    nothing but lines, for screen readers.
    """
    gc_tuning.begin()  # it was disabled while all of this was imported


@main.command("open", short_help="Open the chat (the same as without a command).")
@click.argument("address", type=ADDRESS, required=False)
@click.option(
    "--line",
    "frontend",
    flag_value="line",
    help="A prompt, and lines above it, in the terminal's own scrollback.",
)
@click.option(
    "--plain",
    "frontend",
    flag_value="plain",
    help="Nothing but lines, for screen readers and for pipes.",
)
@click.option("--full", "frontend", flag_value="full", hidden=True)
@identity
@with_plain_errors
def open_chat(
    address: ServerAddress | None,
    frontend: Literal["full", "line", "plain"] | None,
    user: str | None,
    password_command: str | None,
) -> None:
    """Open the chat at ADDRESS: host, host:port, or a join link (chat://…).

    It takes the full screen, unless another face is asked for.
    """
    from client.cli.open_chat import chat

    options = Options(
        address=address, user=user, password=password_source(password_command)
    )
    chat(Paths.from_environment(), options, frontend)


@main.command(short_help="Make an account.")
@click.argument("address", type=ADDRESS, required=False)
@click.option("--invite", metavar="CODE", help="The invite code, if one is needed.")
@identity
@with_plain_errors
def register(
    address: ServerAddress | None,
    invite: str | None,
    user: str | None,
    password_command: str | None,
) -> None:
    """Make an account at ADDRESS (or by a join link), and remember the login."""
    options = Options(
        address=address,
        user=user,
        password=password_source(password_command),
        is_new=True,
        invite=invite,
    )
    login = FirstRun(Paths.from_environment(), options, TerminalQuestions()).run()
    click.echo(f"registered as {login.user} at {login.address}")


class _TrustCommand(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # A fingerprint may begin with a dash.
        is_complete = len(args) == 2 and not {"-h", "--help"} & set(args)
        return super().parse_args(ctx, ["--", *args] if is_complete else args)


@main.command(cls=_TrustCommand, short_help="Accept the key of a server.")
@click.argument("address", type=ADDRESS)
@click.argument("fingerprint")
@with_plain_errors
def trust(address: ServerAddress, fingerprint: str) -> None:
    """Accept the key with this FINGERPRINT, and no other, for the server at ADDRESS."""
    pins = PinStore(Paths.from_environment().pins)
    try:
        pins.trust(str(address), fingerprint)
    except ValueError as error:
        raise click.UsageError(sentence(error)) from error
    click.echo(f"the key {fingerprint} is accepted for {address}")


@main.command(short_help="List the logins that are kept on this device.")
@with_plain_errors
def logins() -> None:
    """List the servers and names that this device remembers."""
    kept = SavedLogins(Paths.from_environment().logins)
    last = kept.last()
    for server in kept.servers():
        for user in kept.users(server):
            state = "logged in" if kept.token(server, user) else "asks for the password"
            mark = "*" if (server, user) == last else " "
            click.echo(f"{mark} {clean(user)} at {server}: {state}")
    if not kept.servers():
        click.echo("no login is remembered: chat ADDRESS logs in", err=True)


@main.command(short_help="Forget a login on this device.")
@click.argument("address", type=ADDRESS, required=False)
@click.option("--user", metavar="NAME", help="Only this name's.")
@with_plain_errors
def logout(address: ServerAddress | None, user: str | None) -> None:
    """Forget the login at ADDRESS, or the latest: the password is asked again."""
    kept = SavedLogins(Paths.from_environment().logins)
    last = kept.last()
    if address is None:
        if last is None:
            raise click.ClickException("no login is remembered")
        server, users = last[0], [user or last[1]]
    else:
        server = str(address)
        users = [user] if user else kept.users(server)
    forgotten = [name for name in users if kept.token(server, name)]
    for name in forgotten:
        kept.forget(server, name)
        click.echo(f"the login of {clean(name)} at {server} is forgotten")
    if not forgotten:
        raise click.ClickException(f"no login at {server} is remembered")


for command in (
    chat_commands.send,
    chat_commands.tail,
    chat_commands.history,
    chat_commands.rooms,
    chat_commands.who,
    file_commands.get,
    file_commands.files,
    config_command.config,
):
    main.add_command(command)

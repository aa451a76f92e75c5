"""The commands of ``chat`` for scripts that fetch and list files: get and files."""

import click

from client.cli import run_files
from client.cli.chat_commands import login_for
from client.cli.options import CHAT, TIMEOUT, for_pipes
from client.net.address import ServerAddress
from client.storage.paths import Paths


@click.command(short_help="Fetch a file that was sent to a chat.")
@click.argument("chat", type=CHAT)
@click.argument("name", metavar="[NAME|NUMBER]", required=False)
@click.option(
    "-o",
    "output",
    metavar="PATH|FOLDER|-",
    help="Save it there; - prints the file itself.",
)
@TIMEOUT
@for_pipes
def get(
    chat: str,
    name: str | None,
    output: str | None,
    timeout: float | None,
    server: ServerAddress | None,
    user: str | None,
    password_command: str | None,
) -> None:
    """Fetch a file of CHAT ('#room' or @user), and print where it was saved.

    Which one is said by its NAME (then it is the newest of that name) or its NUMBER,
    as 'chat files' and 'chat history' show it; else it is the newest that others have
    sent. Without -o it is saved to your folder of downloads, and nothing is ever
    overwritten.
    """
    paths = Paths.from_environment()
    login = login_for(paths, server, user, password_command)
    run_files.run_get(paths, login, chat, name, output, timeout)


@click.command(short_help="List the files of a chat.")
@click.argument("chat", type=CHAT)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=50,
    metavar="COUNT",
    help="At most so many (50).",
)
@click.option("--json", "is_json", is_flag=True, help="An object of JSON in each line.")
@for_pipes
def files(
    chat: str,
    count: int,
    is_json: bool,
    server: ServerAddress | None,
    user: str | None,
    password_command: str | None,
) -> None:
    """List the files of CHAT ('#room' or @user), the newest first.

    Each line has number, name, size, sender and time; 'chat get' takes the number.
    """
    paths = Paths.from_environment()
    login = login_for(paths, server, user, password_command)
    run_files.run_files(paths, login, chat, is_json=is_json, count=count)

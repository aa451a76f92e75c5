"""The commands of ``chat`` for scripts that fetch and list files: get and files."""

import os
import shutil
import sys
from pathlib import Path

import click

from client.cli import file_io
from client.cli.options import CHAT, TIMEOUT
from client.cli.script import Script, for_pipes, while_linked
from client.commands.local_paths import Target, expand, find_target, is_folder_name
from client.transfers.private_folder import passing_folder, private_folder

STDOUT = "-"


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
    script: Script,
    chat: str,
    name: str | None,
    output: str | None,
    timeout: float | None,
) -> None:
    """Fetch a file of CHAT ('#room' or @user), and print where it was saved.

    Which one is said by its NAME (then it is the newest of that name) or its NUMBER,
    as 'chat files' and 'chat history' show it; else it is the newest that others have
    sent. Without -o it is saved to your folder of downloads, and nothing is ever
    overwritten.
    """

    def fetch(target: Target, is_kept: bool) -> Path:
        script.status.watch("down", chat)
        return script.run(
            lambda link: while_linked(
                link,
                file_io.get_file(
                    link,
                    chat=chat,
                    wanted=name,
                    target=target,
                    timeout_seconds=timeout,
                    is_kept=is_kept,
                ),
            ),
            is_waiting=False,
        )

    if output != STDOUT:
        path = fetch(_target(output), is_kept=True)
        sys.stdout.buffer.write(os.fsencode(path) + b"\n")
        sys.stdout.buffer.flush()
        return
    # The reader of stdout has to get a whole file that was checked, or nothing; and as
    # after a kill there is no reader, nothing is kept to continue with.
    with private_folder(passing_folder(script.paths)) as folder:
        path = fetch(Target(folder=folder), is_kept=False)
        with path.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
        sys.stdout.buffer.flush()


def _target(output: str | None) -> Target:
    if output is None:
        return Target()
    return find_target(expand(output), is_folder_name(output))


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
    script: Script,
    chat: str,
    count: int,
    is_json: bool,
) -> None:
    """List the files of CHAT ('#room' or @user), the newest first.

    Each line has number, name, size, sender and time; 'chat get' takes the number.
    """
    printer = script.printer(is_json)
    script.run(lambda link: file_io.list_files(link, chat, printer, count))

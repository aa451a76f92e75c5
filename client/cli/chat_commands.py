"""The commands of ``chat`` for scripts: send, tail, history, rooms and who."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from chatd.protocol.names import parse_room_address
from chatd.text.safe import clean
from client.cli import chat_io, file_io
from client.cli.file_io import Source, is_stream
from client.cli.options import CHAT, SINCE, TIMEOUT
from client.cli.script import Script, for_pipes, until_unread, while_linked
from client.commands.local_paths import check_source
from client.link.link import Link
from client.model.changes import Change

MAX_INPUT = 1 << 20


@click.command(short_help="Send a message, and wait until the server has it.")
@click.argument("chat", type=CHAT)
@click.argument("text", nargs=-1)
@click.option("--lines", is_flag=True, help="Each line of the input is a message.")
@click.option(
    "--file",
    "files",
    multiple=True,
    metavar="PATH|-",
    help="Send this file, or the input as one; may be given again.",
)
@click.option("--name", metavar="NAME", help="The name that the file is sent under.")
@TIMEOUT
@for_pipes
def send(
    script: Script,
    chat: str,
    text: Sequence[str],
    lines: bool,
    files: Sequence[str],
    name: str | None,
    timeout: float | None,
) -> None:
    """Send TEXT to CHAT: '#room' or @user. Without TEXT, the input is one message.

    With --file, TEXT is what is said about the (first) file. A broken connection is
    made again, and the file goes on where it was. After Ctrl+C nothing of it is left.

    The exit status is 0 only when the server has confirmed every message or file.
    """
    if files or name is not None:
        sources, said = _sources(files, name, lines), " ".join(text)
        script.status.watch("up", chat)
        script.run(
            lambda link: while_linked(
                link, file_io.send_files(link, chat, sources, said, timeout)
            ),
            is_waiting=False,
        )
        return
    texts = _texts(text, lines)
    script.run(lambda link: chat_io.send(link, chat, texts, timeout), is_waiting=False)


def _sources(files: Sequence[str], name: str | None, is_lines: bool) -> list[Source]:
    if is_lines:
        raise click.UsageError("give either --file or --lines, not both")
    if not files:
        raise click.UsageError("--name is the name of a file: it needs --file")
    if name is not None and len(files) > 1:
        raise click.UsageError("--name is for one file, and there are several")
    sources: list[Source] = []
    for file in files:
        path = None if file == "-" else Path(file)
        if path is not None and not is_stream(path):
            sources.append(Source(path=check_source(path), name=name))
        elif name is None:
            raise click.UsageError(f"--file {file} needs a name, as in --name db.sql")
        elif path is None:
            sources.append(Source(stream=sys.stdin.buffer, name=name))
        else:
            sources.append(Source(stream=_opened(path), name=name))
    return sources


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise click.ClickException(
            f"{clean(str(path))} cannot be read: {error.strerror}"
        ) from error


def _texts(words: Sequence[str], is_lines: bool) -> list[str]:
    if words:
        if is_lines:
            raise click.UsageError("give either TEXT or --lines, not both")
        texts = [" ".join(words)]
    else:
        data = sys.stdin.buffer.read(MAX_INPUT + 1)
        if len(data) > MAX_INPUT:
            raise click.UsageError("the input is over 1 MiB: too long for messages")
        try:
            whole = data.decode()
        except UnicodeDecodeError as error:
            raise click.UsageError("the input is not text (UTF-8)") from error
        whole = whole.replace("\r\n", "\n").rstrip("\n")
        texts = whole.split("\n") if is_lines else [whole]
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise click.UsageError("there is nothing to send: the text is empty")
    return texts


def _printing(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--json", "is_json", is_flag=True, help="An object of JSON in each line."
        ),
        click.option(
            "--since",
            type=SINCE,
            metavar="TIME",
            help="From then on: 10m, 2h, 3d, or 2026-11-21T14:00.",
        ),
    ):
        function = option(function)
    return function


@click.command(short_help="Print what is written in a chat, as it comes.")
@click.argument("chat", type=CHAT)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=0),
    default=None,
    metavar="COUNT",
    help="Begin with at most so many of what is there (10, with --since all).",
)
@_printing
@for_pipes
def tail(
    script: Script,
    chat: str,
    count: int | None,
    since: int | None,
    is_json: bool,
) -> None:
    """Print the end of CHAT ('#room' or @user), and go on until Ctrl+C."""
    wake = asyncio.Event()
    printer = script.printer(is_json)

    def changed(change: Change) -> None:
        if chat_io.wakes(change, chat):
            wake.set()

    async def follow(link: Link) -> None:
        printing = chat_io.tail(link, chat, printer, wake, count=count, since_ms=since)
        await while_linked(link, printing, until_unread(sys.stdout))

    script.run(follow, sync="ask", on_change=changed)


@click.command(short_help="Print what was written in a chat.")
@click.argument("chat", type=CHAT)
@click.option(
    "-n",
    "count",
    type=click.IntRange(min=1),
    default=None,
    metavar="COUNT",
    help="At most so many (50, with --since all).",
)
@click.option(
    "--before", type=click.IntRange(min=1), metavar="SEQ", help="Only earlier ones."
)
@click.option(
    "--after", type=click.IntRange(min=0), metavar="SEQ", help="Only later ones."
)
@_printing
@for_pipes
def history(
    script: Script,
    chat: str,
    count: int | None,
    before: int | None,
    after: int | None,
    since: int | None,
    is_json: bool,
) -> None:
    """Print what was written in CHAT ('#room' or @user), oldest first.

    SEQ is the number of a message, as --json shows it.
    """
    if count is None and since is None:
        count = 50
    printer = script.printer(is_json)
    script.run(
        lambda link: chat_io.history(
            link,
            chat,
            printer,
            count=count,
            before=before,
            after=after,
            since_ms=since,
        )
    )


@click.command(short_help="List the public rooms.")
@click.option("--json", "is_json", is_flag=True, help="An object of JSON in each line.")
@for_pipes
def rooms(
    script: Script,
    is_json: bool,
) -> None:
    """List the public rooms, with the number of members and the topic."""
    script.run(lambda link: chat_io.print_rooms(link, script.printer(is_json)))


@click.command(short_help="List who is there.")
@click.argument("room", type=CHAT, required=False)
@click.option("--json", "is_json", is_flag=True, help="An object of JSON in each line.")
@for_pipes
def who(
    script: Script,
    room: str | None,
    is_json: bool,
) -> None:
    """List who is in '#room', or whom you share any chat with."""
    if room is not None:
        room = f"#{parse_room_address(room)}"
    script.run(lambda link: chat_io.print_people(link, room, script.printer(is_json)))

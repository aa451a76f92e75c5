"""File operations of scripts: send, get and list files, over a link.

A transfer that is given up, for whatever reason, is cancelled: it does not continue in
a later run.
"""

import asyncio
import contextlib
import json
import stat
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from chatd.protocol.messages import FileItem
from chatd.system.tasks import Tasks
from client.cli.chat_io import Printer
from client.commands.file_list import files_of, find_file
from client.commands.local_paths import Target
from client.errors import LinkError, NotConnectedError, TransferError
from client.link.link import Link
from client.model.entries import Transfer
from client.text.entries import file_json
from client.text.files import file_rows, outcome_text
from client.text.times import format_time

TIME_FORMAT = "%Y-%m-%d %H:%M"


class Source(Struct, frozen=True):
    """A file to be sent.

    Attributes:
        path: Where it is; None where it is read from ``stream``.
        stream: Read to its end first, as the size has to be known.
        name: The name that others see; None is that of the path.
    """

    path: Path | None = None
    stream: BinaryIO | None = None
    name: str | None = None


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe: it has no size, and can be read only once."""
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


async def send_files(
    link: Link,
    chat: str,
    sources: Sequence[Source],
    text: str = "",
    timeout_seconds: float | None = None,
) -> None:
    """Send files, one after the other; return once the server has stored them all.

    Args:
        link: Started.
        chat: The address.
        sources: The files.
        text: The caption of the first.
        timeout_seconds: For all of them together.

    Raises:
        TimeoutError: Not stored in time.
        ChatError: One was refused.
        LinkError: One failed, or the link was stopped.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            for source in sources:
                await _finish(link, await _begin(link, chat, source, text))
                text = ""
    except TimeoutError as error:
        raise TimeoutError(f"not sent within {timeout_seconds:g} s") from error


async def _begin(link: Link, chat: str, source: Source, text: str) -> Transfer:
    if source.stream is not None:
        name = source.name or "file"
        return await link.transfers.send_stream(chat, source.stream, name, text=text)
    assert source.path is not None
    return await _begun(
        link,
        link.transfers.send_file(chat, source.path, name=source.name, text=text),
    )


async def _begun(link: Link, begin: Coroutine[Any, Any, Transfer]) -> Transfer:
    """Start a transfer; if this is cancelled meanwhile, cancel the transfer.

    Otherwise it would be recorded all the same, and continue in a later run.
    """
    beginning = Tasks().start(begin, is_awaited=True)
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        with contextlib.suppress(LinkError):
            link.transfers.cancel((await beginning).id)
        raise


async def get_file(
    link: Link,
    chat: str,
    wanted: str | None,
    target: Target,
    timeout_seconds: float | None = None,
    is_kept: bool = True,
) -> Path:
    """Fetch a file and return where it is saved.

    Args:
        link: Started.
        chat: The address.
        wanted: A seq or a name; None is the newest that others have sent.
        target: Where to save it.
        timeout_seconds: For all of it.
        is_kept: Whether it continues, in a later run, after a kill.

    Raises:
        TimeoutError: Not fetched in time.
        NoSuchFileError: There is none.
        ChatError: It was refused.
        LinkError: It failed, or the link was stopped.
    """
    try:
        async with asyncio.timeout(timeout_seconds):
            item = await _found(link, chat, wanted)
            getting = link.transfers.get_file(
                chat,
                item.seq,
                item.file,
                folder=target.folder,
                path=target.path,
                is_kept=is_kept,
            )
            done = await _finish(link, await _begun(link, getting))
    except TimeoutError as error:
        raise TimeoutError(f"not fetched within {timeout_seconds:g} s") from error
    assert done.path is not None
    return done.path


async def _found(link: Link, chat: str, wanted: str | None) -> FileItem:
    while True:
        await link.wait_online()
        try:
            return await find_file(link.request, chat, wanted, link.model.me)
        except NotConnectedError:
            continue


async def _finish(link: Link, transfer: Transfer) -> Transfer:
    """Wait for the end of a transfer; if this is cancelled, cancel the transfer."""
    try:
        return await link.transfers.wait(transfer.id)
    except asyncio.CancelledError:
        link.transfers.cancel(transfer.id)
        raise
    except TransferError as error:
        # With several files, the error has to name the one.
        said = outcome_text(error.transfer or transfer)
        raise TransferError(said, error.code, error.transfer) from error


async def list_files(
    link: Link, chat: str, printer: Printer, count: int | None = 50
) -> None:
    """Print the files of a chat, newest first; at most ``count``, None for all."""
    items = [item async for item in files_of(link.request, chat, count)]
    if printer.is_json:
        for item in items:
            printer.line(_item_json(chat, item))
        return
    for row in file_rows(
        items, [format_time(item.time, TIME_FORMAT) for item in items]
    ):
        printer.line(row)


def _item_json(chat: str, item: FileItem) -> str:
    members = {
        "chat": chat,
        "seq": item.seq,
        "from": item.from_,
        "time": item.time,
        "text": item.text or None,
        "file": file_json(item.file),
    }
    return json.dumps({k: v for k, v in members.items() if v is not None})

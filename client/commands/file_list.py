"""Pages of the files sent to a chat, and the search for one by seq or name."""

from collections.abc import AsyncIterator, Awaitable, Callable

from chatd.protocol.messages import MAX_ID, FileItem, Files, FilesPage, Request
from chatd.protocol.messages import ServerMessage as Message
from chatd.text.safe import clean
from client.errors import LinkError, PeerError

PAGE = 200
MAX_SEARCHED = 10_000
"""How many files are searched for one by its name, at most."""

Ask = Callable[[Request], Awaitable[Message]]
"""Sends a request and returns its reply, as ``Link.request`` does."""


class NoSuchFileError(LinkError):
    """A chat has no such file; the text says so, and how to see which it has."""


async def page_of(
    ask: Ask, chat: str, before: int | None = None, limit: int = PAGE
) -> FilesPage:
    """Return a page of files, newest first.

    Args:
        ask: ``Link.request``.
        chat: The address.
        before: Only files with a lower seq.
        limit: The most files to return, 1 to 200.

    Raises:
        ChatError: The server refused.
        LinkError: There is no connection, or it broke.
    """
    reply = await ask(Files(chat=chat, before=before, limit=limit))
    if not isinstance(reply, FilesPage):
        raise PeerError("the server answers with something else")
    return reply


async def files_of(ask: Ask, chat: str, count: int | None) -> AsyncIterator[FileItem]:
    """Yield the files of a chat, newest first; at most ``count``, None for all.

    Raises:
        ChatError: The server refused.
        LinkError: There is no connection, or it broke.
    """
    before: int | None = None
    while count is None or count > 0:
        limit = PAGE if count is None else min(PAGE, count)
        page = await page_of(ask, chat, before, limit)
        for item in page.files:
            yield item
            before = item.seq
        if count is not None:
            count -= len(page.files)
        if not page.more or not page.files:
            return


async def find_seq(ask: Ask, chat: str, seq: int) -> FileItem | None:
    """Return the file whose message has that seq, None if there is none."""
    if not 0 < seq < MAX_ID:
        return None
    page = await page_of(ask, chat, seq + 1, 1)
    return page.files[0] if page.files and page.files[0].seq == seq else None


async def find_file(ask: Ask, chat: str, wanted: str | None, me: str) -> FileItem:
    """Return the newest file that matches.

    Args:
        ask: ``Link.request``.
        chat: The address.
        wanted: A seq or a name; None means any that another user sent (in the user's
            chat with themselves, any).
        me: The user's own name.

    Raises:
        NoSuchFileError: There is none.
        ChatError: The server refused.
        LinkError: There is no connection, or it broke.
    """
    if wanted is not None and (seq := as_seq(wanted)) is not None:
        found = await find_seq(ask, chat, seq)
        if found is not None:
            return found
    async for item in files_of(ask, chat, MAX_SEARCHED):
        if wanted is None:
            is_meant = is_for(me, chat, item.from_)
        else:
            is_meant = has_name(item.file.name, wanted)
        if is_meant:
            return item
    if wanted is not None:
        raise NoSuchFileError(f"there is no file {clean(wanted)} in {clean(chat)}")
    raise NoSuchFileError(f"nobody else has sent a file to {clean(chat)} so far")


def is_for(me: str, chat: str, sender: str) -> bool:
    """Whether a file is for ``me``: sent by another user, or in the chat ``@me``."""
    return sender != me or chat == f"@{me}"


def as_seq(text: str) -> int | None:
    """Return the seq that a text stands for; None if it is no number."""
    if text.isascii() and text.isdigit() and len(text) <= 16:
        return int(text)
    return None


def has_name(name: str, wanted: str) -> bool:
    """Whether a file has the typed name, in its original or its displayed form."""
    return wanted in (name, clean(name))

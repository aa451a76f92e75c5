"""The list of chats on the left, pure: what needs attention on top, with marks."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from chatd.text.safe import display, fit, width
from client.model.chat import Chat
from client.model.model import Model
from client.text.styles import Line

MIN_CELLS = 16
MAX_CELLS = 26

IsQuiet = Callable[[str], bool]
"""Whether the chat of an address is never to notify."""


Place = tuple[int, bool, str]
"""By which chats are sorted."""


class Kept(NamedTuple):
    """A chat that keeps its place while it is open, although it has been read."""

    address: str
    rank: int


def chat_list(model: Model, is_quiet: IsQuiet, kept: Kept | None = None) -> list[Chat]:
    """Return the chats in the order of the list.

    First those with something for this person (mentions, what people wrote to it alone,
    and what it wrote but was refused), then others with something unread, then the
    rest; each by name.

    Args:
        model: Which chats there are.
        is_quiet: Which of them are never on top.
        kept: The chat that is open: it does not move away under one's eyes, and the
            next in the list stays the next.
    """
    return sorted(model.chats.values(), key=lambda c: place_of(c, is_quiet, kept))


def place_of(chat: Chat, is_quiet: IsQuiet, kept: Kept | None = None) -> Place:
    """Return where in the list a chat belongs; while it is the same, nothing moves."""
    rank = rank_of(chat, is_quiet)
    if kept is not None and chat.address == kept.address:
        rank = min(rank, kept.rank)
    return rank, chat.is_direct, chat.name


def rank_of(chat: Chat, is_quiet: IsQuiet) -> int:
    """Return how much attention a chat needs: 0 the most, 2 none."""
    if _has_failed(chat):
        return 0
    if not chat.unread or is_quiet(chat.address):
        return 2
    return 0 if _is_pressing(chat) else 1


def next_activity(chats: Sequence[Chat], current: str | None) -> Chat | None:
    """Return the first chat of the list that has something new and is not open."""
    for chat in chats:
        if chat.unread and chat.address != current:
            return chat
    return None


def neighbour(chats: Sequence[Chat], current: str | None, step: int) -> Chat | None:
    """Return the chat that many places on in the list, around its ends."""
    if not chats:
        return None
    addresses = [chat.address for chat in chats]
    if current not in addresses:
        return chats[0 if step > 0 else -1]
    return chats[(addresses.index(current) + step) % len(chats)]


def sidebar_cells(chats: Sequence[Chat]) -> int:
    """Return how wide the list wants to be: its longest name, within bounds."""
    longest = max((width(display(chat.address)) for chat in chats), default=0)
    # A mark before the name, a number behind it, and a blank on each side.
    return min(MAX_CELLS, max(MIN_CELLS, longest + 8))


def visible_chats(
    chats: Sequence[Chat], current: str | None, height: int, is_quiet: IsQuiet
) -> list[Chat]:
    """Return the part of the list that fits, with the open chat always in it.

    What needs attention stays on top, in at most half of the room.
    """
    if len(chats) <= height or height < 2:
        return list(chats[:height])
    top: list[Chat] = []
    for chat in chats:
        if rank_of(chat, is_quiet) < 2:
            top.append(chat)
        elif chat.address != current:  # which may be kept between them
            break
        if len(top) == height // 2:
            break
    on_top = {chat.address for chat in top}
    rest = [chat for chat in chats if chat.address not in on_top]
    room = height - len(top)
    at = next((i for i, chat in enumerate(rest) if chat.address == current), 0)
    start = min(max(0, at - room // 2), len(rest) - room)
    return top + rest[start : start + room]


def sidebar_rows(
    chats: Sequence[Chat], current: str | None, cells: int, is_quiet: IsQuiet
) -> list[Line]:
    """Return a row for each chat, exactly so many cells wide."""
    return [list(_row(_look_of(c, current, is_quiet), cells)) for c in chats]


class _Look(NamedTuple):
    """All that the row of a chat depends on."""

    address: str
    unread: int
    is_pressing: bool
    has_failed: bool
    is_quiet: bool
    is_current: bool


def _look_of(chat: Chat, current: str | None, is_quiet: IsQuiet) -> _Look:
    return _Look(
        chat.address,
        chat.unread,
        _is_pressing(chat),
        _has_failed(chat),
        is_quiet(chat.address),
        chat.address == current,
    )


@lru_cache(maxsize=1_000)
def _row(look: _Look, cells: int) -> tuple[tuple[str, str], ...]:
    count = _count(look.unread)
    name = fit(display(look.address), max(1, cells - 3 - len(count) - bool(count)))
    text = f"{name} {count} " if count else f"{name} "
    mark, style = " ", "class:sidebar"
    if look.has_failed:
        mark, style = "x", "class:sidebar.mention"
    elif look.is_quiet:
        mark, style = "-", "class:sidebar.quiet"
    elif look.is_pressing:
        mark, style = "!", "class:sidebar.mention"
    elif look.unread:
        mark, style = "*", "class:sidebar.unread"
    if look.is_current:
        mark, style = ">", "class:sidebar.current"
    return ((style, fit(f"{mark} {text}", cells)),)


def _count(unread: int) -> str:
    if not unread:
        return ""
    return "999+" if unread > 999 else str(unread)


def _is_pressing(chat: Chat) -> bool:
    return bool(chat.mentions or (chat.unread and chat.is_direct))


def _has_failed(chat: Chat) -> bool:
    return any(item.state == "refused" for item in chat.outbox)

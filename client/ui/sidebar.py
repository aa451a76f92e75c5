"""The chat list on the left, as pure functions: sorted by attention, with marks."""

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
"""Returns whether the chat of an address never notifies."""


Place = tuple[int, bool, str]
"""The key by which chats are sorted."""


class Kept(NamedTuple):
    """The open chat, and the rank it keeps while it is open, although it is read."""

    address: str
    rank: int


def chat_list(model: Model, is_quiet: IsQuiet, kept: Kept | None = None) -> list[Chat]:
    """Return the chats in the order of the list.

    First those with something for the user (mentions, direct messages, and the user's
    own messages that were refused), then others with unread messages, then the rest.
    Within each group rooms come before direct chats, both by name.

    Args:
        model: Has the chats.
        is_quiet: Returns which of them never come first for being unread.
        kept: The open chat: it does not move away while it is read, so the next in the
            list stays the next.
    """
    return sorted(model.chats.values(), key=lambda c: place_of(c, is_quiet, kept))


def place_of(chat: Chat, is_quiet: IsQuiet, kept: Kept | None = None) -> Place:
    """Return the sort key of a chat; while it stays the same, the order does too."""
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
    """Return the first chat of the list that has unread messages and is not open."""
    for chat in chats:
        if chat.unread and chat.address != current:
            return chat
    return None


def neighbour(chats: Sequence[Chat], current: str | None, step: int) -> Chat | None:
    """Return the chat ``step`` places further in the list, wrapping at its ends."""
    if not chats:
        return None
    addresses = [chat.address for chat in chats]
    if current not in addresses:
        return chats[0 if step > 0 else -1]
    return chats[(addresses.index(current) + step) % len(chats)]


def sidebar_cells(chats: Sequence[Chat]) -> int:
    """Return the preferred width of the list: its longest name, within bounds."""
    longest = max((width(display(chat.address)) for chat in chats), default=0)
    # A mark and a space before the name; a space, a count and a space after it.
    return min(MAX_CELLS, max(MIN_CELLS, longest + 8))


def visible_chats(
    chats: Sequence[Chat], current: str | None, height: int, is_quiet: IsQuiet
) -> list[Chat]:
    """Return the part of the list that fits, with the open chat always in it.

    What needs attention stays on top, in at most half of the rows.
    """
    if len(chats) <= height or height < 2:
        return list(chats[:height])
    top: list[Chat] = []
    for chat in chats:
        if rank_of(chat, is_quiet) < 2:
            top.append(chat)
        elif chat.address != current:  # whose rank may be kept, among those
            break
        if len(top) == height // 2:
            break
    on_top = {chat.address for chat in top}
    rest = [chat for chat in chats if chat.address not in on_top]
    space = height - len(top)
    at = next((i for i, chat in enumerate(rest) if chat.address == current), 0)
    start = min(max(0, at - space // 2), len(rest) - space)
    return top + rest[start : start + space]


def sidebar_rows(
    chats: Sequence[Chat], current: str | None, cells: int, is_quiet: IsQuiet
) -> list[Line]:
    """Return a row for each chat, exactly ``cells`` wide."""
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

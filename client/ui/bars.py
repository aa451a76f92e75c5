"""The header and the status line of the full screen, as pure functions."""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

from chatd.text.safe import display, fit, width
from client.link.reconnect import LinkState
from client.model.entries import Transfer
from client.model.model import Model
from client.text.entries import excerpt, typing_text
from client.text.styles import Line

_GAP = "  "
_MIN_CUT = 8
"""A text that would be cut to fewer cells is left out instead."""


class Status(Struct, frozen=True, kw_only=True):
    """The content of the status line.

    Attributes:
        state: The state of the link.
        server: The server's address, which a reason need not repeat.
        waiting: How many items of the outbox are not sent yet.
        refused: How many items of the outbox were refused.
        typing: Who is typing in the open chat.
        transfers: All transfers; those that are over are not shown.
        below: How many new messages are below the visible part; 1,000 may mean more.
        below_key: The key that goes there.
        said: A text that is shown for some seconds.
        hint: The keys that help now.
    """

    state: LinkState
    server: str = ""
    waiting: int = 0
    refused: int = 0
    typing: Sequence[str] = ()
    transfers: Sequence[Transfer] = ()
    below: int = 0
    below_key: str = ""
    said: str = ""
    hint: str = ""


def steady_ms(shown: float | None, measured: float) -> float:
    """Return the round trip to show: the one shown, unless the new one clearly differs.

    It is measured again and again, and an idle screen should not be redrawn for that.
    """
    if shown is not None and abs(measured - shown) <= max(5.0, shown / 4):
        return shown
    return measured


def header_row(
    address: str | None, about: str, present: int | None, server: str, cells: int
) -> Line:
    """Return the top line: the chat, its topic, how many are present, and the server.

    Args:
        address: The open chat, None if there is none.
        about: The topic of a room, or the presence of a user.
        present: How many members are present, None where that is not known.
        server: The name of the server.
        cells: The exact width of the line.
    """
    title = f" {display(address)}" if address else " chat"
    right = display(server)
    if present is not None:
        right = f"{present} here | {right}"
    right = f"{excerpt(right, max(1, cells // 2))} "
    space = cells - width(title) - width(right)
    if space < 0:
        return [("class:header", fit(title, cells))]
    shown = (
        f"{_GAP}{excerpt(display(about), space - 4)}" if about and space > 12 else ""
    )
    return [
        ("class:header class:address", title),
        ("class:header class:header.topic", fit(shown, space)),
        ("class:header", right),
    ]


def about(model: Model, address: str | None) -> str:
    """Return what the header says of a chat: a topic, or the presence of a user."""
    if address is None:
        return ""
    if not address.startswith("@"):
        chat = model.chats.get(address)
        return chat.topic if chat is not None else ""
    heard = model.presence.get(address[1:])
    if heard is None:
        return ""
    return f"{heard.status}: {heard.text}" if heard.text else heard.status


def status_row(status: Status, cells: int) -> Line:
    """Return the line above the composer; less important parts give way first."""
    hint = status.hint
    kept = width(hint) + 1 + len(_GAP) if 2 * width(hint) <= cells else 0
    shown: Line = [("class:status", " ")]
    space = cells - 1
    for part in _parts(status):
        limit = space - kept if part.gives_way else space
        if width(part.text) > limit and (not part.is_cut or limit < _MIN_CUT):
            continue
        text = fit(part.text, min(width(part.text), max(0, limit)))
        shown += [(f"class:status {part.style}", text), ("class:status", _GAP)]
        space -= width(text) + len(_GAP)
    shown = _cut(shown, cells)
    used = sum(width(text) for _, text in shown)
    if width(hint) + 1 > cells - used:
        hint = ""
    space = cells - used - width(hint) - bool(hint)
    shown += [("class:status", " " * space), ("class:status class:status.key", hint)]
    if hint:
        shown.append(("class:status", " "))
    return shown


class _Part(NamedTuple):
    """A part of the status line.

    Attributes:
        style: The style of its text.
        text: The text; "" leaves the part out.
        is_cut: Whether it may be shortened instead of being left out.
        gives_way: Whether the hint is more important.
    """

    style: str
    text: str
    is_cut: bool = False
    gives_way: bool = False


def _parts(status: Status) -> list[_Part]:
    key = f" ({status.below_key})" if status.below_key else ""
    count = "999+" if status.below > 999 else status.below
    below = f"v {count} new below{key}"
    parts = [
        _Part(*_link(status.state), is_cut=True),
        _Part("class:status.key", status.said, is_cut=True),
        _Part("class:below", below if status.below else ""),
        _Part("class:failed", f"x {status.refused} refused" * bool(status.refused)),
        _Part(
            "class:status.waiting", f"~ {status.waiting} waiting" * bool(status.waiting)
        ),
        _Part("class:status.typing", display(typing_text(status.typing))),
        _Part("class:progress", _files(status.transfers)),
    ]
    if status.state.name == "waiting" and status.state.reason:
        # The user knows which server it is, but not why it cannot be reached.
        reason = status.state.reason.removeprefix(status.server).strip()
        reason = f"({display(reason)})"
        parts.append(_Part("class:status.offline", reason, True, gives_way=True))
    return [part for part in parts if part.text]


def _link(state: LinkState) -> tuple[str, str]:
    match state.name:
        case "online":
            if state.round_trip_ms is None:
                return "", "online"
            return "", f"online {max(1.0, state.round_trip_ms):.0f} ms"
        case "connecting":
            return "class:status.offline", "connecting"
        case "waiting":
            seconds = max(1, round(state.seconds))
            return "class:status.offline", f"offline, again in {seconds} s"
        case _:
            return "class:status.offline", "offline"


def _files(transfers: Sequence[Transfer]) -> str:
    moving = [each for each in transfers if not each.is_over]
    if not moving:
        return ""
    size = sum(each.size for each in moving)
    moved = sum(each.moved for each in moving)
    percent = f"{100 * moved // size} %" if size else ""
    what = display(moving[0].name) if len(moving) == 1 else f"{len(moving)} files"
    sign = {"up": "^", "down": "v"}[moving[0].direction]
    return f"{sign} {excerpt(what, 20)} {percent}".rstrip()


def _cut(line: Line, cells: int) -> Line:
    shown: Line = []
    space = cells
    for style, text in line:
        if space <= 0:
            break
        text = text if width(text) <= space else fit(text, space)
        shown.append((style, text))
        space -= width(text)
    return shown

"""The lines above and below a chat, pure: the header, and the status line."""

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
"""With fewer cells a text is left out, instead of being cut."""


class Status(Struct, frozen=True, kw_only=True):
    """What the status line says.

    Attributes:
        state: How the link is.
        server: Its address, which a reason need not repeat.
        waiting: How much in the outbox is not sent yet.
        refused: How much in the outbox was refused.
        typing: Who is typing in the open chat.
        transfers: Files on their way.
        below: How much is new below what is to be seen; 1,000 may mean more.
        below_key: Which key goes there.
        said: What the program has to say just now.
        hint: Which keys help now.
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
    """Return what to show of a round trip: what is shown, unless it is clearly another.

    It is measured again and again, and nothing is to be drawn while nothing happens.
    """
    if shown is not None and abs(measured - shown) <= max(5.0, shown / 4):
        return shown
    return measured


def header_row(
    address: str | None, about: str, present: int | None, server: str, cells: int
) -> Line:
    """Return the top line: the chat, its topic, who is there, and the server.

    Args:
        address: What is open.
        about: The topic of a room, or how present a person is.
        present: How many are there, None where nobody counts.
        server: What the server calls itself.
        cells: How wide the line is, exactly.
    """
    title = f" {display(address)}" if address else " chat"
    right = display(server)
    if present is not None:
        right = f"{present} here | {right}"
    right = f"{excerpt(right, max(1, cells // 2))} "
    room = cells - width(title) - width(right)
    if room < 0:
        return [("class:header", fit(title, cells))]
    shown = f"{_GAP}{excerpt(display(about), room - 4)}" if about and room > 12 else ""
    return [
        ("class:header class:address", title),
        ("class:header class:header.topic", fit(shown, room)),
        ("class:header", right),
    ]


def about(model: Model, address: str | None) -> str:
    """Return what the header says of a chat: a topic, or how present a person is."""
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
    """Return the line above the composer; what matters less gives way first."""
    hint = status.hint
    kept = width(hint) + 1 + len(_GAP) if 2 * width(hint) <= cells else 0
    shown: Line = [("class:status", " ")]
    room = cells - 1
    for part in _parts(status):
        limit = room - kept if part.gives_way else room
        if width(part.text) > limit and (not part.is_cut or limit < _MIN_CUT):
            continue
        text = fit(part.text, min(width(part.text), max(0, limit)))
        shown += [(f"class:status {part.style}", text), ("class:status", _GAP)]
        room -= width(text) + len(_GAP)
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
    """Something in the status line.

    Attributes:
        style: How it looks.
        text: What it says.
        is_cut: Whether a part of it is better than nothing.
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
        # Where one is connected to is known; why not is not.
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
    room = cells
    for style, text in line:
        if room <= 0:
            break
        text = text if width(text) <= room else fit(text, room)
        shown.append((style, text))
        room -= width(text)
    return shown

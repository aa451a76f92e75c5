"""The lines above and below a chat, pure: the header, and the status line."""

from collections.abc import Sequence

from msgspec import Struct

from client.changes import Transfer
from client.chat import Chat
from client.colours import Line
from client.formatting import excerpt, typing_text
from client.link import LinkState
from client.text import display, fit, width

_GAP = "  "


class Status(Struct, frozen=True, kw_only=True):
    """What the status line says.

    Attributes:
        state: How the link is.
        waiting: How much in the outbox is not sent yet.
        refused: How much in the outbox was refused.
        typing: Who is typing in the open chat.
        transfers: Files on their way.
        below: How much is new below what is to be seen.
        said: What the program has to say just now.
        hint: Which keys help now.
    """

    state: LinkState
    waiting: int = 0
    refused: int = 0
    typing: Sequence[str] = ()
    transfers: Sequence[Transfer] = ()
    below: int = 0
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
    chat: Chat | None, address: str | None, present: int | None, server: str, cells: int
) -> Line:
    """Return the top line: the chat, its topic, who is there, and the server.

    Args:
        chat: What is open, where the server knows it.
        address: What is open.
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
    topic = chat.topic if chat is not None else ""
    shown = f"{_GAP}{excerpt(display(topic), room - 4)}" if topic and room > 12 else ""
    return [
        ("class:header class:address", title),
        ("class:header class:header.topic", fit(shown, room)),
        ("class:header", right),
    ]


def status_row(status: Status, cells: int) -> Line:
    """Return the line above the composer; what matters less gives way first."""
    parts = [part for part in _parts(status) if part[1]]
    shown: Line = [("class:status", " ")]
    room = cells - 1
    for style, text in parts:
        # How the link is, and what is said now, are there as far as there is room.
        is_cut = len(shown) == 1 or text == status.said
        if width(text) > room and not is_cut:
            continue
        text = fit(text, min(width(text), room))
        shown += [(f"class:status {style}", text), ("class:status", _GAP)]
        room -= width(text) + len(_GAP)
        if room <= 0:
            break
    shown = _cut(shown, cells)
    used = sum(width(text) for _, text in shown)
    hint = status.hint if width(status.hint) + 1 <= cells - used else ""
    space = cells - used - width(hint) - bool(hint)
    shown += [("class:status", " " * space), ("class:status class:status.key", hint)]
    if hint:
        shown.append(("class:status", " "))
    return shown


def _parts(status: Status) -> list[tuple[str, str]]:
    return [
        _link(status.state),
        ("class:status.key", status.said),
        ("class:below", f"v {status.below} new below (End)" if status.below else ""),
        ("class:failed", f"x {status.refused} refused" if status.refused else ""),
        ("class:status.waiting", f"~ {status.waiting} waiting" * bool(status.waiting)),
        ("class:status.typing", display(typing_text(status.typing))),
        ("class:progress", _files(status.transfers)),
    ]


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
            reason = f": {display(state.reason)}" if state.reason else ""
            return "class:status.offline", f"offline, again in {seconds} s{reason}"
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

"""Draws the README's picture of the full screen: ``python -m tests.picture``.

The daemon and the client are the real ones, in this process; only the server's clock is
set, so that the picture is the same each time. What the client draws is read from a
terminal in memory and written as SVG: text as text, no external resources.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, cast
from xml.sax.saxutils import escape, quoteattr

import msgspec
import pyte

from tests import ROOT
from tests.fakes.raw_client import Address, RawClient
from tests.fakes.server import FakeServer
from tests.helpers import logged_in, put_file
from tests.service.conftest import Lab, serving
from tests.service.full_screen.person import Person, at_screen, ctrl

PICTURE = ROOT / "client" / "screen.svg"
COLUMNS, ROWS = 104, 28

DAY = datetime(2026, 3, 5, tzinfo=UTC)
TOPIC = "Deploy freeze until Friday 18:00 - on call: bob"
BACKUPS = """yes:
```sh
$ du -sh /var/backups/* | sort -h | tail -2
  4.0G  etc
  212G  pg_dump   # 30 days of them
```"""
BEFORE = (
    ("09:12", "erin", "good morning, the importer is green again :sunny:"),
    ("09:15", "bob", "おはよう, thanks for staying late yesterday"),
    ("09:41", "carol", "disk on **lab3** is at 91% again, the nightly dumps I guess"),
    ("09:44", "bob", BACKUPS),
    ("09:46", "carol", "FILE"),
    ("09:47", "alice", "7 days are enough: https://wiki.lab.example/backups#keep"),
    ("09:49", "dave", "ACTION pours coffee for everybody"),
)
NEW = (
    ("10:02", "bob", "RE 7 cleared, lab3 is at 38% :tada:"),
    ("10:03", "dave", "@alice may I deploy the fix of the importer before the freeze?"),
    ("10:04", "carol", "> before the freeze\n*after* the backup, please"),
)
TYPED = "once the backup is through, at about `11:30`"

_CELL, _LINE, _FONT, _EDGE = 8.4, 18, 14, 12
_FONTS = "ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace"
_INK, _PAPER = "#d0d0d0", "#1c1c1c"
_CURSOR = "#949494"


async def make_picture() -> str:
    """Play the conversation, and return alice's screen as SVG."""
    with tempfile.TemporaryDirectory(prefix="chatd-picture-") as name:
        settings = {"server": {"name": "lab"}}
        async with serving(Path(name), settings) as lab:
            return await _play(lab, Path(name))


async def _play(lab: Lab, folder: Path) -> str:
    names = ("alice", "bob", "carol", "dave", "erin")
    async with logged_in(lab.tcp, *names) as people:
        by_name = {person.user: person for person in people}
        await _make_rooms(lab, by_name)
        for when, who, text in BEFORE:
            await _say(lab, by_name[who], when, text)
        newest = (await by_name["alice"].log("#ops"))[-1]["seq"]
        by_name["alice"].send("read", chat="#ops", seq=newest)
        for when, who, text in NEW:
            await _say(lab, by_name[who], when, text)
        async with at_screen(
            cast(FakeServer, _At(lab.tcp)), COLUMNS, ROWS, home=folder / "alice"
        ) as alice:
            return await _look(alice, by_name)


class _At:
    """The addresses of a server, as ``at_screen`` expects them."""

    def __init__(self, place: Address) -> None:
        self.address = f"tcp://{place[0]}:{place[1]}"


async def _make_rooms(lab: Lab, people: dict[str, RawClient]) -> None:
    _set_clock(lab, "08:00")
    alice = people["alice"]
    await alice.ask("create", room="#ops", topic=TOPIC)
    for name in ("bob", "carol", "dave", "erin"):
        await people[name].ask("join", room="#ops")
    for room, count in (("#general", 4), ("#importer", 0), ("#release", 0)):
        await people["erin"].ask("create", room=room)
        await alice.ask("join", room=room)
        for number in range(count):
            await people["erin"].say(room, f"news {number}")
    await people["carol"].say("@alice", "lunch at twelve?")
    await alice.say("@bob", "thanks for taking over")
    await people["carol"].ask("status", status="away", text="lunch")
    await people["erin"].ask("status", status="busy")


async def _say(lab: Lab, person: RawClient, when: str, text: str) -> None:
    _set_clock(lab, when)
    kind, _, rest = text.partition(" ")
    if kind == "FILE":
        name, caption = "lab3-disk.csv", "the week so far"
        await put_file(person, lab.tcp, "#ops", b"x" * 48_230, name, text=caption)
    elif kind == "ACTION":
        await person.say("#ops", rest, kind="action")
    elif kind == "RE":
        wanted, _, rest = rest.partition(" ")
        (quoted,) = (
            e for e in await person.log("#ops") if e.get("text", "").startswith(wanted)
        )
        await person.say("#ops", rest, reply_to=quoted["seq"])
    else:
        await person.say("#ops", text)


def _set_clock(lab: Lab, when: str) -> None:
    hour, minute = map(int, when.split(":"))
    wanted = DAY.replace(hour=hour, minute=minute, second=30)
    behind = (wanted - datetime.now(UTC)).total_seconds()
    lab.clock.skipped_days = behind / 86_400


async def _look(alice: Person, people: dict[str, RawClient]) -> str:
    await alice.type("\x1bOR")
    await alice.shows("(busy)")
    await alice.type(TYPED)
    people["dave"].send("typing", chat="#ops")
    await alice.shows("dave is typing")
    # The round trip depends on what else the machine does.
    state = msgspec.structs.replace(alice.ui.state, round_trip_ms=12.0)
    alice.ui.state = state
    await alice.type(ctrl("l"))
    await alice.shows("online 12 ms")
    await alice.idle()
    return draw(alice.glass.screen)


# Drawing ------------------------------------------------------------------------------


class _Run(NamedTuple):
    """Cells of a row that look the same, and their text."""

    row: int
    column: int
    cells: int
    text: str
    ink: str
    paper: str
    font: str


def draw(screen: pyte.Screen) -> str:
    """Return a screen as SVG."""
    width = round(screen.columns * _CELL + 2 * _EDGE)
    height = screen.lines * _LINE + 2 * _EDGE
    runs = [run for row in range(screen.lines) for run in _runs(screen, row)]
    title = "The full screen of chat"
    style = f"font-family: {_FONTS}; font-size: {_FONT}px; white-space: pre"
    root = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    lines = [
        f'{root} role="img" aria-label={quoteattr(title)} xml:space="preserve">',
        f"<title>{escape(title)}</title>",
        f"<style>text {{ {style} }}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="{_PAPER}"/>',
        *(
            _rect(run.row, run.column, run.cells, run.paper)
            for run in runs
            if run.paper
        ),
        _rect(screen.cursor.y, screen.cursor.x, 1, _CURSOR),
        *(_text(run) for run in runs if run.text.strip()),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _runs(screen: pyte.Screen, row: int) -> Iterator[_Run]:
    line = screen.buffer[row]
    cells = [(column, line[column]) for column in range(screen.columns)]
    for look, group in groupby(cells, lambda cell: _look_of(cell[1])):
        found = list(group)
        text = "".join(char.data for _, char in found)
        yield _Run(row, found[0][0], len(found), text, *look)


def _look_of(char: Any) -> tuple[str, str, str]:
    """Return the colours and the attributes of a cell."""
    ink, paper = _colour(char.fg, _INK), _colour(char.bg, "")
    if char.reverse:
        ink, paper = paper or _PAPER, ink
    font = ' font-weight="bold"' * char.bold + ' font-style="italic"' * char.italics
    return ink, paper, font + ' text-decoration="underline"' * char.underscore


def _colour(name: str, default: str) -> str:
    # The dark theme has no colours of the terminal's own.
    return default if name == "default" else f"#{name}"


def _rect(row: int, column: int, cells: int, colour: str) -> str:
    place = f'x="{_x(column)}" y="{_EDGE + row * _LINE}"'
    return f'<rect {place} width="{cells * _CELL:g}" height="{_LINE}" fill="{colour}"/>'


def _text(run: _Run) -> str:
    text = run.text.rstrip()
    before = len(text) - len(text.lstrip())
    # The width of letters depends on the font: each run is as wide as its cells.
    cells = run.cells - (len(run.text) - len(text)) - before
    place = f'x="{_x(run.column + before)}" y="{_EDGE + run.row * _LINE + _FONT - 1}"'
    size = f'textLength="{cells * _CELL:g}" lengthAdjust="spacingAndGlyphs"'
    look = f'fill="{run.ink}"{run.font}'
    return f"<text {place} {size} {look}>{escape(text[before:])}</text>"


def _x(column: int) -> str:
    return f"{_EDGE + column * _CELL:g}"


def main() -> None:
    """Write the picture."""
    PICTURE.write_text(asyncio.run(make_picture()), encoding="utf-8")
    print(f"{PICTURE.name} is written")


if __name__ == "__main__":
    main()

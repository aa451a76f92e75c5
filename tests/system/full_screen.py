"""The full screen of ``chat`` in a real terminal, and its parts as tests read them."""

import asyncio
import re
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from pathlib import Path

import pyte

from tests.fakes.raw_client import PASSWORD, Address, RawClient
from tests.system.daemon import Daemon
from tests.system.terminal import Terminal

BORDER = "│"
SGR = re.compile("\x1b\\[([0-9;]*)m")
_STATUS = (" online", " offline", " connecting")
_MODE = re.compile("\x1b\\[\\?([0-9;]+)([hl])")
_OSC = re.compile("\x1b\\][^\a\x1b]*(?:\a|\x1b\\\\)")
_TITLE = re.compile("\x1b\\](?:0|2);([^\a\x1b]*)\a|\x1b\\[(2[23]);2t")


class FullScreen(Terminal):
    """A terminal in which ``chat`` shows the full screen."""

    _seen: tuple[int, int, int] = (-1, 0, 0)
    _view: "View"

    @property
    def view(self) -> "View":
        """The current screen; the same object until something is written to it."""
        self._take()
        seen = (len(self.transcript), self.screen.columns, self.screen.lines)
        if seen != self._seen:
            self._seen, self._view = seen, View(self.screen)
        return self._view

    @property
    def frame(self) -> list[str]:
        """All rows as they are shown, without trailing blanks."""
        return self.view.frame

    @property
    def status(self) -> str:
        """The status row."""
        return self.frame[self.view.status_at]

    @property
    def header(self) -> str:
        """The top row."""
        return self.frame[0]

    @property
    def composer(self) -> str:
        """The rows below the status row."""
        return "\n".join(self.frame[self.view.status_at + 1 :]).rstrip()

    @property
    def typed(self) -> str:
        """What is typed; if nothing is, the composer's placeholder.

        A line end looks the same as the end of a full row.
        """
        return self.composer.removeprefix("> ").replace("\n  ", "\n")

    @property
    def borders(self) -> list[int]:
        """The columns that have a border in every row beside the timeline."""
        return self.view.borders

    @property
    def timeline(self) -> list[str]:
        """The rows of the timeline, without the empty ones."""
        return self.view.timeline

    @property
    def around(self) -> list[str]:
        """Everything but the status row."""
        at = self.view.status_at
        return [row for number, row in enumerate(self.frame) if number != at]

    # Waiting --------------------------------------------------------------------------

    async def says(self, text: str) -> None:
        """Wait until a row of the timeline contains a text."""
        await self.until(lambda: any(text in row for row in self.timeline))

    async def is_online(self) -> None:
        """Wait until the status row says that there is a connection."""
        await self.until(lambda: self.status.startswith(" online"))

    async def is_offline(self) -> None:
        """Wait until the status row says that there is none."""
        await self.until(lambda: self.status.startswith(" offline"))

    async def holds(self, text: str) -> None:
        """Wait until exactly this is typed, in as many rows as it takes."""
        await self.until(lambda: self.typed == text)

    # The window -----------------------------------------------------------------------

    def resize(self, columns: int, rows: int) -> None:
        """Change the size of the window."""
        super().resize(columns, rows)
        self.screen.cursor.y = max(0, min(self.screen.cursor.y, rows - 1))
        self.screen.cursor.x = max(0, min(self.screen.cursor.x, columns - 1))

    # What was written to the terminal -------------------------------------------------

    @property
    def modes(self) -> dict[int, bool]:
        """Each private mode that was ever set or reset, and whether it is set."""
        self._take()
        found: dict[int, bool] = {}
        for numbers, sign in _MODE.findall(self.transcript):
            found |= dict.fromkeys(map(int, numbers.split(";")), sign == "h")
        return found

    @property
    def titles(self) -> list[str]:
        """The titles on the terminal's stack, the one that is shown at the end.

        It begins with "mine", the title from before.
        """
        self._take()
        stack, shown = [], "mine"
        for title, stacked in _TITLE.findall(self.transcript):
            if stacked == "22":
                stack.append(shown)
            elif stacked == "23":
                shown = stack.pop()
            else:
                shown = title
        return [*stack, shown]

    @property
    def bells(self) -> int:
        """How often the bell was sent."""
        self._take()
        return _OSC.sub("", self.transcript).count("\a")


class View:
    """A snapshot of a screen, divided into parts.

    Attributes:
        frame: All rows, without trailing blanks.
        status_at: The number of the status row; -1 if there is none.
    """

    def __init__(self, screen: pyte.Screen) -> None:
        self._columns = screen.columns
        self._cells = [
            [line[x].data for x in range(screen.columns)]
            for line in (screen.buffer[y] for y in range(screen.lines))
        ]
        self.frame = ["".join(row).rstrip() for row in self._cells]
        found = (n for n, row in enumerate(self.frame) if row.startswith(_STATUS))
        self.status_at = max(found, default=-1)

    @cached_property
    def borders(self) -> list[int]:
        """The columns that have a border in every row beside the timeline."""
        rows = self._cells[1 : max(1, self.status_at)]
        columns = range(self._columns)
        return [x for x in columns if rows and all(r[x] == BORDER for r in rows)]

    @cached_property
    def timeline(self) -> list[str]:
        """The rows of the timeline, which is the widest of the panels."""
        edges = [-1, *self.borders, self._columns]
        begin, end = max(pairwise(edges), key=lambda edge: edge[1] - edge[0])
        rows = self._cells[1 : max(1, self.status_at)]
        shown = ("".join(row[begin + 1 : end]).rstrip() for row in rows)
        return [row for row in shown if row]


MakeFullScreen = Callable[..., FullScreen]


def link_of(daemon: Daemon, through: Address | None = None) -> str:
    """Return a join link to a running daemon, through a proxy if there is one."""
    (pin,) = (line.split()[-1] for line in daemon.lines if "fingerprint" in line)
    place = through or daemon.tls
    return f"chat://{place[0]}:{place[1]}/?pin={pin}"


async def register(daemon: Daemon, *names: str) -> None:
    """Register accounts."""
    async with await RawClient.connect(daemon.tcp) as client:
        await client.expect("hello")
        for name in names:
            await client.register(name)


async def two_in_a_room(
    daemon: Daemon, at: MakeFullScreen
) -> tuple[FullScreen, FullScreen]:
    """Return two users in #ops: alice at 80x24, bob at 120x40."""
    await register(daemon, "alice", "bob")
    alice = at("alice")
    bob = at("bob", columns=120, rows=40)
    await asyncio.gather(alice.is_online(), bob.is_online())
    alice.type("/create #ops Deploy freeze until Friday\r")
    await alice.says("made the room #ops")
    bob.type("/join #ops\r")
    await alice.says("bob joined")
    await bob.says("bob joined")
    return alice, bob


def starter(daemon: Daemon, folder: Path, made: list[FullScreen]) -> MakeFullScreen:
    """Return a function that starts ``chat`` for a user who has an account."""

    def start(
        who: str,
        *,
        columns: int = 80,
        rows: int = 24,
        through: Address | None = None,
        **more: str,
    ) -> FullScreen:
        terminal = FullScreen(
            folder / who,
            *(link_of(daemon, through), "--user", who),
            columns=columns,
            rows=rows,
            environment={"CHAT_PASSWORD": PASSWORD, **more},
        )
        made.append(terminal)
        return terminal

    return start

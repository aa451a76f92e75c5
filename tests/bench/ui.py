"""Benchmarks the full screen: from a key, a message or a start to the painted frame.

It is the real client, at a terminal of 120x40, with the real daemon. The time is taken
when the terminal has the whole frame. The client's CPU time shows the same where the
machine has other work to do.
"""

import asyncio
import gc
import json
import random
import secrets
import select
import socket
import statistics
import string
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from chatd.protocol.frames import encode_frame
from tests.bench import ui_composer, ui_timeline
from tests.bench.daemon import Daemon
from tests.bench.process import BenchError
from tests.bench.results import Result, percentile
from tests.bench.target import run_steps
from tests.bench.ui_data import (
    BIG,
    OTHERS,
    SMALL,
    Past,
    copy_past,
    introduce,
    make_text,
)
from tests.bench.ui_terminal import FRAME_END, PATIENCE_SECONDS, ClientTerminal
from tests.bench.users import scram_login

_MARK = b"=" * 8
_NOTHING = f"print('{_MARK.decode()}')"
_IMPORTS = f"import client.cli.main, client.cli.open_chat, client.ui.app\n{_NOTHING}"
_LIBRARIES = f"import asyncio, ssl, sqlite3, click, msgspec, prompt_toolkit\n{_NOTHING}"
_LETTERS = string.ascii_letters
_WORK = range(50_000)
# Narrow letters that no other text has: Canadian syllables.
_FIRST_SYLLABLE, _SYLLABLES = 0x1401, 600
_TOKEN_LETTERS = 3
_PAGES = 20
_KEYS_IN_A_LINE = 60
_PAGE_UP, _TO_BOTTOM, _INTERRUPT = b"\x1b[5~", b"\x1b[1;3F", b"\x03"


@dataclass(frozen=True, slots=True)
class UiPlan:
    """The sizes of the benchmarks of the full screen.

    Attributes:
        past: The history there is before.
        keys: How many keys are pressed.
        messages: How many messages come, one after the other.
        rate: So many of them per second.
        burst: How many come at once.
        idle_seconds: For so long nothing happens.
        starts: How often the client is started.
    """

    past: Past = Past()
    keys: int = 400
    messages: int = 400
    rate: int = 50
    burst: int = 500
    idle_seconds: float = 10.0
    starts: int = 7


def run_ui(plan: UiPlan, cache: Path | None) -> Iterator[Result]:
    """Measure drawing alone, then the whole client on a copy of the history.

    Args:
        plan: The sizes.
        cache: Where the history is kept; None: the temporary folder.

    Yields:
        Results whose ``server`` is the number of messages in the chat; what is measured
        once stands beside the big chat.

    Raises:
        BenchError: Something was not painted, or the daemon did not work.
    """
    yield from run_drawing(plan)
    yield from run_client(plan, cache)


def run_client(plan: UiPlan, cache: Path | None) -> Iterator[Result]:
    """Measure the whole client; see ``run_ui``."""
    with tempfile.TemporaryDirectory(prefix="chatd-bench-") as name:
        folder = Path(name)
        home = copy_past(plan.past, folder, cache)
        daemon = Daemon.start(folder, home.data)
        with daemon.process:
            introduce(home, daemon)
            environment = {"CHAT_HOME": str(home.home)}
            yield _start(daemon, environment, plan, f"{plan.past.big:,}")
            for room, count in ((SMALL, plan.past.small), (BIG, plan.past.big)):
                with _Stage(daemon, environment, room) as stage:
                    yield from _room(stage, plan, f"{count:,}")


# Parts of the client, in this process -------------------------------------------------


def run_drawing(plan: UiPlan) -> Iterator[Result]:
    """Measure frames, and a paste into the composer; see ``run_ui``."""
    # As in the client; the other benchmarks do without the collector.
    was_enabled = gc.isenabled()
    gc.enable()
    try:
        for count in (plan.past.small, plan.past.big):
            for what, found in ui_timeline.measure(count).items():
                figures = {"p50_ms": found.median_ms, "p99_ms": found.p99_ms}
                yield Result(f"ui frame {what}", f"{count:,}", figures)
        asked, held = asyncio.run(ui_composer.measure_paste())
        figures = {"asks_ms": asked, "holds_ms": held}
        yield Result("ui paste", f"{plan.past.big:,}", figures)
    finally:
        if not was_enabled:
            gc.disable()


# Starting -----------------------------------------------------------------------------


def _start(
    daemon: Daemon, environment: dict[str, str], plan: UiPlan, label: str
) -> Result:
    # The composer stands below the messages, so that it is painted last.
    composer = f"message to {BIG}".encode()
    nothing, libraries, imports, screens, memory = [], [], [], [], []
    for _ in range(plan.starts):
        # Alternating, so that noise from the machine affects all alike.
        nothing.append(_until_marked(_NOTHING, environment))
        libraries.append(_until_marked(_LIBRARIES, environment))
        imports.append(_until_marked(_IMPORTS, environment))
        with ClientTerminal(["-m", "client", daemon.link], environment) as client:
            painted = client.until(composer, FRAME_END)
            screens.append((painted - client.started) * 1_000)
            client.until(b"online")
            client.settle()
            memory.append(client.rss_mib())
    bare, loaded, whole = map(statistics.median, (nothing, imports, screens))
    figures = {
        "interpreter_ms": bare,
        "libraries_ms": statistics.median(libraries) - bare,
        "imports_ms": loaded - bare,
        "screen_ms": whole - loaded,
        "rss_mib": statistics.median(memory),
    }
    return Result("ui start", label, figures)


def _until_marked(code: str, environment: dict[str, str]) -> float:
    with ClientTerminal(["-c", code], environment) as python:
        return (python.until(_MARK) - python.started) * 1_000


# In a room ----------------------------------------------------------------------------


class _Stage:
    """A client that shows a room, a sender in it, and an observer.

    Attributes:
        client: The client.
        room: The room.
    """

    def __init__(self, daemon: Daemon, environment: dict[str, str], room: str) -> None:
        self.room = room
        self._sender = _log_in(daemon, OTHERS[0])
        self._observer = _log_in(daemon, OTHERS[1])
        self.client = ClientTerminal(["-m", "client", daemon.link], environment)

    def __enter__(self) -> Self:
        client = self.client
        client.until(b"online", FRAME_END)
        client.settle()
        client.press(f"/switch {self.room}\r".encode())
        client.settle()
        # Users read what is older, so more is loaded than what is visible.
        for _ in range(_PAGES):
            client.press(_PAGE_UP)
            client.settle(0.05)
        client.press(_TO_BOTTOM)
        client.settle()
        return self

    def __exit__(self, *error: object) -> None:
        self.client.__exit__(None, None, None)
        self._sender.close()
        self._observer.close()

    def send(self, texts: Sequence[str]) -> None:
        """Send messages, all at once."""
        self._sender.sendall(b"".join(_send(self.room, text) for text in texts))

    def until_painted(self, token: str, since: int) -> float:
        """Wait for a message; return the seconds from its arrival to the frame's end.

        The message counts as arrived when the observer has received it.
        """
        needle, heard = token.encode(), bytearray()
        arrived = painted = 0.0
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while not (arrived and painted):
            data = self._turn(deadline)
            now = time.perf_counter()
            heard += data
            if not arrived and needle in heard:
                arrived = now
            place = self.client.written.find(needle, since)
            if place >= 0 and self.client.written.find(FRAME_END, place) >= 0:
                painted = painted or now
            if now > deadline:
                raise BenchError("a message was not painted")
        return max(0.0, painted - arrived)

    def rest(self, until: float) -> None:
        """Handle what arrives until a time."""
        while time.perf_counter() < until:
            self._turn(until)

    def _turn(self, until: float) -> bytes:
        """Handle what arrives; return what the observer received."""
        sockets = {each.fileno(): each for each in (self._sender, self._observer)}
        wait = max(0.0, until - time.perf_counter())
        ready, _, _ = select.select([self.client.fd, *sockets], [], [], wait)
        heard = b""
        for number in ready:
            if number == self.client.fd:
                if not self.client.take():
                    raise BenchError("the client has ended")
                continue
            data = sockets[number].recv(1 << 20)
            if not data:
                raise BenchError("the server hung up")
            heard = data if sockets[number] is self._observer else heard
        return heard


def _room(stage: _Stage, plan: UiPlan, label: str) -> Iterator[Result]:
    yield _keys(stage, plan, label)
    yield _messages(stage, plan, label)
    yield _burst(stage, plan, label)
    yield _idle(stage, plan, label)


def _keys(stage: _Stage, plan: UiPlan, label: str) -> Result:
    client = stage.client
    took, worked, sizes, fixed = [], [], [], []
    for number in range(plan.keys):
        letter = _LETTERS[number % len(_LETTERS)].encode()
        cpu = client.cpu_ms()
        begun = time.perf_counter()
        before = client.press(letter)
        painted = client.until(letter, FRAME_END, since=before)
        took.append((painted - begun) * 1_000)
        client.settle(0.02)
        worked.append(client.cpu_ms() - cpu)
        sizes.append(len(client.written) - before)
        fixed.append(_fixed_work_ms())
        if number % _KEYS_IN_A_LINE == _KEYS_IN_A_LINE - 1:
            client.press(_INTERRUPT)
            client.settle()
    client.press(_INTERRUPT)
    client.settle()
    fixed.sort()
    work = {
        "work_p50_ms": percentile(fixed, 0.5),
        "work_p99_ms": percentile(fixed, 0.99),
    }
    return Result("ui key", label, {**_figures(took, worked, sizes), **work})


def _fixed_work_ms() -> float:
    """Return the duration, in ms, of a piece of work that is always the same."""
    begun = time.perf_counter()
    sum(_WORK)
    for _ in _WORK:
        pass
    return (time.perf_counter() - begun) * 1_000


def _messages(stage: _Stage, plan: UiPlan, label: str) -> Result:
    client, dice = stage.client, random.Random(2)
    took = []
    cpu, before = client.cpu_ms(), len(client.written)
    begun = time.perf_counter()
    for number in range(plan.messages):
        token, since = _token(number), len(client.written)
        stage.send([f"{token} {make_text(dice)}"])
        took.append(stage.until_painted(token, since) * 1_000)
        stage.rest(begun + (number + 1) / plan.rate)
    client.settle()
    worked = (client.cpu_ms() - cpu) / plan.messages
    size = (len(client.written) - before) / plan.messages
    return Result("ui message", label, _figures(took, [worked], [size]))


def _burst(stage: _Stage, plan: UiPlan, label: str) -> Result:
    client, dice = stage.client, random.Random(3)
    texts = [f"b{number} {make_text(dice)}" for number in range(plan.burst - 1)]
    cpu, before = client.cpu_ms(), len(client.written)
    begun = time.perf_counter()
    last = _token(plan.messages)
    stage.send([*texts, last])
    stage.until_painted(last, before)
    took = time.perf_counter() - begun
    stage.rest(time.perf_counter() + 0.5)
    written = client.written[before:]
    figures = {
        "frames": float(written.count(FRAME_END)),
        "bytes": float(len(written)),
        "cpu_ms": client.cpu_ms() - cpu,
        "wall_ms": took * 1_000,
    }
    return Result("ui burst", label, figures)


def _idle(stage: _Stage, plan: UiPlan, label: str) -> Result:
    client = stage.client
    stage.rest(time.perf_counter() + 1.0)
    cpu, before = client.cpu_ms(), len(client.written)
    stage.rest(time.perf_counter() + plan.idle_seconds)
    figures = {
        "bytes": float(len(client.written) - before),
        "cpu_ms": (client.cpu_ms() - cpu) / plan.idle_seconds,
        "rss_mib": client.rss_mib(),
    }
    return Result("ui idle", label, figures)


def _figures(
    took: list[float], worked: Sequence[float], sizes: Sequence[float]
) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "p50_ms": percentile(ordered, 0.5),
        "p99_ms": percentile(ordered, 0.99),
        "cpu_ms": statistics.median(worked),
        "bytes": statistics.mean(sizes),
    }


def _token(number: int) -> str:
    """Return a word with no letter that was on the screen before.

    A terminal is sent only those letters of a row that are new there.
    """
    places = range(number * _TOKEN_LETTERS, (number + 1) * _TOKEN_LETTERS)
    return "".join(chr(_FIRST_SYLLABLE + place % _SYLLABLES) for place in places)


# The other users ----------------------------------------------------------------------


def _log_in(daemon: Daemon, user: int) -> socket.socket:
    sock = daemon.connect()
    run_steps(sock, scram_login(user))
    return sock


def _send(room: str, text: str) -> bytes:
    message = {"type": "send", "id": 1, "chat": room, "text": text}
    return encode_frame(json.dumps({**message, "key": secrets.token_hex(16)}).encode())

"""Benchmarks painting the timeline: ``python -m tests.bench.ui_timeline``.

One row of text is typed, or one message arrives, and the whole screen is rendered: the
median and the 99th percentile of that, and the bytes for the terminal.
"""

import asyncio
import io
import random
import time
from collections.abc import Callable
from statistics import median, quantiles
from typing import NamedTuple, cast

import click
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.layout import BufferControl, HSplit, Layout, VSplit, Window
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.output import ColorDepth

from chatd.protocol.messages import ChatRecord, Message
from client.commands.workspace import Workspace
from client.link.link import Link
from client.model.entries import Entry
from client.storage.preferences import Preferences
from client.terminal.hyperlinks import HyperlinkOutput
from client.terminal.themes import make_theme
from client.ui.timeline.painting import TimelineWindow
from client.ui.timeline.timeline import Timeline
from client.ui.toolkit.renderer import use_row_renderer
from client.ui.toolkit.rows_control import RowsControl
from tests.fakes.link import FakeFrontend, FakeLink

COLUMNS, ROWS = 120, 40
SIDEBAR_CELLS = 18
FRAMES = 400
PAGES = 50
PEOPLE = ("alice", "bob", "carol", "dave", "erin", "שרה", "佐藤")
TEXT = """the disk on lab3 is at 91% again **please** clear `/scratch/tmp` or ask @carol
before the freeze until Friday see https://grafana.lab/d/abc?panel=12 looking now
deploy went fine 漢字かな ok שלום thanks 👍 nothing else to report from here"""
WORDS = TEXT.split()


class Figures(NamedTuple):
    """Milliseconds and bytes of one kind of frame."""

    median_ms: float
    p99_ms: float
    bytes: float
    formatted: float


class Bench:
    """A screen with a timeline and an input line, without a terminal."""

    def __init__(self, count: int, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.random = random.Random(1)
        link = FakeLink("alice")
        self.workspace = Workspace(
            cast(Link, link), "tls://lab:4747", Preferences(None), FakeFrontend()
        )
        self.model = link.model
        record = ChatRecord(chat="#ops", last=count, read=count, first=1, unread=0)
        self.model.load_chats([record], {})
        chat = self.model.chats["#ops"]
        self.model.is_synced = True
        self.model.expect_older("#ops", count + 10_000)
        chat.insert(self.entry(seq) for seq in range(1, count + 1))
        self.timeline = Timeline(self.workspace)
        self.timeline.osc8 = True
        self.timeline.open("#ops")
        self.typed = Buffer()
        self.terminal = io.StringIO()

    def entry(self, seq: int) -> Entry:
        size = self.random.choice((3, 6, 9, 12, 15, 40))
        return Entry(
            chat="#ops",
            seq=seq,
            prev=seq - 1,
            sender=self.random.choice(PEOPLE),
            time_ms=1_790_000_000_000 + seq * 20_000,
            kind="text",
            text=" ".join(self.random.choices(WORDS, k=size)),
        )

    def layout(self, is_plain: bool) -> Layout:
        names = [f"  #room-{n:<9}" for n in range(30)]
        window: AnyContainer = TimelineWindow(self.timeline)
        if is_plain:
            window = Window(self.timeline)
        typed = Window(BufferControl(self.typed), height=1)
        middle = VSplit(
            [
                Window(
                    RowsControl(lambda width, height: [[("", n)] for n in names]),
                    width=SIDEBAR_CELLS,
                ),
                Window(width=1, char="│", style="class:border"),
                window,
            ]
        )
        rows = HSplit([Window(height=1, style="class:header"), middle, typed])
        return Layout(rows, focused_element=typed)

    def type(self, number: int) -> None:
        if number % 60 == 59:
            self.typed.reset()
        self.typed.insert_text("x")

    def receive(self, number: int) -> None:
        entry = self.entry(self.model.chats["#ops"].last + 1)
        self.model.apply(
            Message(
                chat="#ops",
                seq=entry.seq,
                prev=entry.prev,
                from_=entry.sender,
                time=entry.time_ms,
                kind="text",
                text=entry.text,
            )
        )
        self.timeline.refresh()

    def page(self, number: int) -> None:
        self.timeline.page(-1)

    async def run(self, is_plain: bool) -> dict[str, Figures]:
        size = Size(rows=ROWS, columns=COLUMNS)
        output = HyperlinkOutput(self.terminal, lambda: size, enable_cpr=False)
        style = make_theme("dark", {"TERM": "xterm-256color"}).to_style()
        with create_pipe_input() as keys:
            app: Application[None] = Application(
                layout=self.layout(is_plain),
                full_screen=True,
                input=keys,
                output=output,
                style=style,
                color_depth=ColorDepth.DEPTH_8_BIT,
            )
            if not is_plain:
                use_row_renderer(app)
            with set_app(app):
                for _ in range(20):
                    self.paint(app)
                self.timeline.to_bottom()
                return {
                    "key": self.measure(app, self.type),
                    "message": self.measure(app, self.receive),
                    "page up": self.measure(app, self.page, PAGES),
                }

    def paint(self, app: Application[None]) -> None:
        app.render_counter += 1
        app.renderer.render(app, app.layout)

    def measure(
        self, app: Application[None], act: Callable[[int], None], frames: int = FRAMES
    ) -> Figures:
        took = []
        self.terminal.seek(0)
        self.terminal.truncate()
        formatted = self.timeline.formatted
        for number in range(frames):
            start = self.clock()
            act(number)
            self.paint(app)
            took.append((self.clock() - start) * 1_000)
        written = len(self.terminal.getvalue().encode())
        return Figures(
            median(took),
            quantiles(took, n=100)[98],
            written / frames,
            (self.timeline.formatted - formatted) / frames,
        )


def measure(
    count: int,
    is_plain: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Figures]:
    """Return the figures for a chat of so many messages, the best of three runs."""
    bench = Bench(count, clock)
    runs = [asyncio.run(bench.run(is_plain)) for _ in range(3)]
    return {
        what: min((run[what] for run in runs), key=lambda f: f.median_ms)
        for what in runs[0]
    }


@click.command()
@click.option("--plain", is_flag=True, help="Use a plain Window, for comparison.")
@click.option("--cpu", is_flag=True, help="Count only the time of the processor.")
@click.argument("counts", type=int, nargs=-1)
def main(plain: bool, cpu: bool, counts: tuple[int, ...]) -> None:
    """Print the figures for chats of so many messages."""
    print(f"{COLUMNS}x{ROWS}, {FRAMES} frames each; best of 3 runs by the median")
    clock = time.process_time if cpu else time.perf_counter
    for count in counts or (1_000, 200_000):
        for what, best in measure(count, plain, clock).items():
            print(
                f"{count:>9,} messages  {what:<8}  "
                f"median {best.median_ms:5.2f} ms  p99 {best.p99_ms:5.2f} ms  "
                f"{best.bytes:6.0f} bytes  {best.formatted:5.2f} formatted"
            )


if __name__ == "__main__":
    main()

"""Benchmarks the composer: a key, and a paste of 10,000 lines.

python -m tests.bench.ui_composer
"""

import asyncio
import io
import statistics
import time
from typing import cast

from prompt_toolkit.application import Application, create_app_session
from prompt_toolkit.application.current import set_app
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.layout import FloatContainer, HSplit, Layout, Window
from prompt_toolkit.output.vt100 import Vt100_Output

from chatd.protocol.messages import Presence, PresenceOf
from client.commands.workspace import Workspace
from client.keys.actions import ACTIONS, bind
from client.link.link import Link
from client.storage.preferences import Preferences
from client.ui.composer.composer import Composer
from tests.fakes.link import FakeFrontend, room
from tests.unit.client.ui.composer.composing import PASTE, ComposerLink

KEYS = 200
LINES = 10_000
LOG = "".join(
    f"{n:05} a line of some log, as long as lines are\n" for n in range(LINES)
)


class Bench:
    """A composer at 120x40, without pytest's debugging of the loop."""

    def __init__(self, pipe: PipeInput) -> None:
        self.pipe = pipe
        self.link = ComposerLink()
        workspace = Workspace(
            cast(Link, self.link), "tls://lab:4747", Preferences(None), FakeFrontend()
        )
        self.composer = Composer(workspace, lambda text, reply_to: None, None)
        self.link.on_change = self.composer.changed
        self.link.log_in(room("#ops"))
        workspace.current = "#ops"
        root = FloatContainer(
            HSplit([Window(), self.composer.container]), floats=self.composer.floats
        )
        handlers = self.composer.handlers
        actions = [action for action in ACTIONS if action.name in handlers]
        self.app: Application[None] = Application(
            Layout(root, focused_element=self.composer.window),
            key_bindings=bind(actions, handlers),
            full_screen=True,
            input=pipe,
            output=Vt100_Output(
                io.StringIO(), lambda: Size(rows=40, columns=120), enable_cpr=False
            ),
        )

    def key_to_paint(self, text: str) -> tuple[float, float]:
        """Return median and p99, in ms, of a key after ``text`` and its frame."""
        buffer = self.composer.buffer
        took = []
        with set_app(self.app):
            buffer.reset()
            buffer.insert_text(text)
            for _ in range(KEYS):
                begin = time.perf_counter()
                buffer.insert_text("u")
                self.app.render_counter += 1
                self.app.renderer.render(self.app, self.app.layout)
                took.append(1000 * (time.perf_counter() - begin))
                buffer.delete_before_cursor()
        return statistics.median(took), statistics.quantiles(took, n=100)[-1]

    async def paste(self, data: str, text: str) -> tuple[float, float]:
        """Return how long a paste takes, and the longest block of the loop, in ms."""
        held = 0.0
        begin = last = time.perf_counter()
        write = asyncio.create_task(asyncio.to_thread(self.pipe.send_text, data))
        while not self.composer.is_choosing and self.composer.buffer.text != text:
            await asyncio.sleep(0)
            now = time.perf_counter()
            held, last = max(held, now - last), now
        await write
        return 1000 * (last - begin), 1000 * held


async def measure_paste() -> tuple[float, float]:
    """Return how long 10,000 lines take until the prompt, and block the loop, in ms."""
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        bench = Bench(pipe)
        running = asyncio.create_task(bench.app.run_async())
        await asyncio.sleep(0)
        bench.composer.open("#ops")
        figures = await bench.paste(PASTE.format(LOG), LOG)
        bench.app.exit()
        await running
    return figures


async def main() -> None:
    """Measure, and print a table."""
    with create_pipe_input() as pipe, create_app_session(input=pipe):
        bench = Bench(pipe)
        running = asyncio.create_task(bench.app.run_async())
        await asyncio.sleep(0)
        for count in (10, 5_000, 50_000):
            users = {f"user{n}": PresenceOf(status="online") for n in range(count)}
            bench.link.take(Presence(users=users, more=False))
            for what, text in (("text", "hello "), ("a menu", "hello @")):
                median, p99 = bench.key_to_paint(text)
                print(
                    f"{what}, {count:,} names: key to paint {median:.1f} ms, "
                    f"p99 {p99:.1f} ms"
                )
        for what, text in (("2 kB", "word " * 400), ("16 kB", "word " * 3_200)):
            median, p99 = bench.key_to_paint(text)
            print(f"one line of {what}: key to paint {median:.1f} ms, p99 {p99:.1f} ms")
        bench.composer.open("#ops")
        took, held = await bench.paste(PASTE.format(LOG), LOG)
        print(f"10,000 lines pasted: asks after {took:.0f} ms, holds {held:.1f} ms")
        bench.composer.open(None)
        bench.composer.buffer.reset()
        took, held = await bench.paste(LOG.replace("\n", "\r"), LOG)
        print(f"the same without brackets: {took:.0f} ms, holds {held:.1f} ms")
        median, p99 = bench.key_to_paint(LOG)
        print(f"10,000 lines typed in: key to paint {median:.1f} ms, p99 {p99:.1f} ms")
        bench.app.exit()
        await running


if __name__ == "__main__":
    asyncio.run(main())

"""The full screen: chats on the left, a timeline, people on the right, a composer.

The face only shows the model and passes keys on; the link goes on without it, and
nothing here waits for the network before it paints.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import Any

import msgspec
from prompt_toolkit.application import Application
from prompt_toolkit.application.current import set_app
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.output import Output

from client.changes import Change, ChatRemoved, EntriesAdded, SyncDone, TypingSeen
from client.chat import TYPING_SECONDS
from client.clientfile import ClientSettings
from client.colours import Line
from client.commands import Registry
from client.formatting import Look
from client.interrupts import Interrupts
from client.link import Link, LinkState
from client.notify import Notifier, Rung, title_text
from client.paths import Paths
from client.ringing import Ringer, Title
from client.settings import Settings
from client.ui import emoji
from client.ui.bars import steady_ms
from client.ui.bindings import ESCAPE, make_bindings
from client.ui.boxes import ListBox
from client.ui.composer import Composer
from client.ui.focus import understand_focus
from client.ui.hyperlinks import HyperlinkOutput, has_hyperlinks
from client.ui.journal import journal
from client.ui.loading import Loader
from client.ui.moves import Moves
from client.ui.outgoing import Outgoing
from client.ui.overlays import make_full_registry
from client.ui.renderer import use_row_renderer
from client.ui.screen import Screen
from client.ui.telling import Teller, nothing_open
from client.ui.terminal import copy_sequence, make_screen_output, open_link
from client.ui.themes import make_theme
from client.ui.timeline import Timeline
from client.workspace import Workspace

FLASH_SECONDS = 4.0
GATHER_SECONDS = 0.01
"""Changes that come within this are painted together; keys are painted at once."""

CHORD_SECONDS = 1.0
"""So long after the first key of several the next one may come."""

MakeLink = Callable[[Callable[[Change], None], Callable[[LinkState], None]], Link]
"""Makes a link that tells of changes and of its state."""


class FullScreen:
    """The face of the full screen.

    Args:
        make_link: Makes the link, which is started and closed here.
        server: The server's address as settings know it.
        settings: What the client remembers of how a person likes it.
        room: A room to be entered once online, as a join link asks for.
        paths: Where drafts and what was typed are kept; None keeps them in memory.
        wishes: What ``client.toml`` says.
        rung: What one was notified of before.
        input: Where keys come from.
        output: Where to draw.
        environment: Says which terminal it is.

    Attributes:
        workspace: What is in front of the person.
        timeline: The messages of the open chat.
        composer: Where one writes.
        outgoing: Takes what was entered there.
        screen: How all of it is arranged.
        app: The application of prompt_toolkit.
        loader: Fetches what is about to be seen.
        interrupts: What Ctrl+C means.
        box: What lies over the chat, None if nothing does.
        state: How the link is, as the status line shows it.
        previous: The chat that was open before this one.
        is_mouse_on: Whether the mouse acts, and is not left to the terminal.
        environment: Says which terminal it is.
    """

    def __init__(
        self,
        make_link: MakeLink,
        server: str,
        settings: Settings,
        *,
        room: str | None = None,
        paths: Paths | None = None,
        wishes: ClientSettings | None = None,
        rung: Rung | None = None,
        input: Input | None = None,
        output: Output | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        understand_focus()
        environment = os.environ if environment is None else environment
        self.environment = environment
        self.wishes = wishes or ClientSettings()
        self._output = output or make_screen_output(sys.stdout, environment)
        self._paths = paths
        self.state = LinkState(name="stopped")
        self._link = make_link(self._changed, self._state_changed)
        self._room = room
        self._last: str | None = None
        self.box: ListBox | None = None
        self.previous: str | None = None
        self.is_mouse_on = self.wishes.general.mouse
        self._flash = ("", 0.0)
        self._error: Exception | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._painted_at = 0.0
        self._paint_timer: asyncio.TimerHandle | None = None
        self._has_news = True
        self._is_away = False
        self._is_leaving = False
        self._is_loading = False
        self.workspace = Workspace(self._link, server, settings, self)
        self.registry: Registry = make_full_registry(self)
        self.timeline = self._make_timeline()
        self.outgoing = Outgoing(self.workspace, self.registry, self._not_sent)
        self.composer = Composer(
            self.workspace,
            self._submit,
            paths,
            registry=self.registry,
            environment=environment,
        )
        self.loader = Loader(self._link, self.paint_soon)
        self.interrupts = Interrupts(self.workspace)
        self.screen = Screen(self)
        self.app = self._make_app(input or create_input(sys.stdin))
        self._teller = Teller(self.workspace)
        self._ringer = Ringer(
            self.wishes.notify, self.write_raw, environment, self.workspace.fail
        )
        self._notifier = Notifier(
            self._link.model,
            self.wishes,
            self._ringer.ring,
            front=lambda: self.workspace.current,
            rung=rung or Rung(None, server, self._link.user),
        )
        self._title = Title(self.write_raw, environment)

    def _make_timeline(self) -> Timeline:
        timeline = Timeline(self.workspace, time.time)
        is_linked = isinstance(self._output, HyperlinkOutput)
        timeline.osc8 = is_linked and has_hyperlinks(self.environment)
        timeline.emoji = self._emoji
        timeline.on_link = self._follow
        return timeline

    def _make_app(self, input: Input) -> Application[None]:
        general = self.wishes.general
        theme = make_theme(general.theme, self.environment, self.wishes.colors)
        app: Application[None] = Application(
            layout=self.screen.layout,
            key_bindings=make_bindings(self, Moves(self).handlers),
            style=theme.to_style(),
            include_default_pygments_style=False,
            color_depth=theme.to_depth(),
            full_screen=True,
            erase_when_done=True,
            # In the bare mode it is the terminal that is to select.
            mouse_support=Condition(
                lambda: self.is_mouse_on and not self.timeline.is_bare
            ),
            before_render=self._before_paint,
            after_render=self._painted,
            input=input,
            output=self._output,
        )
        use_row_renderer(app)
        app.ttimeoutlen = general.escape_ms / 1_000
        app.key_processor.before_key_press += lambda _: self._notifier.active()
        app.key_processor.after_key_press += lambda _: self._key_pressed()
        return app

    # What a workspace needs of its face -----------------------------------------------

    @property
    def columns(self) -> int:
        """How many cells a line of the timeline may have."""
        return self.screen.timeline_columns

    @property
    def rows(self) -> int:
        """How many lines there are to see."""
        return self.screen.timeline_rows

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines in the open chat, below what is there."""
        self.timeline.notice(list(lines))
        self.paint_soon()

    def opened(self, address: str) -> None:
        """Show the chat that is open now."""
        before = self.timeline.address
        if before != address:
            self._mark_seen()  # of the chat before
            self.previous = before or self.previous
            self.timeline.highlight = None
            self.screen.opened(address)
            self.loader.opened(address)
        self.timeline.open(address)
        self.composer.open(address)
        if address.startswith("#"):
            self.loader.members(address)
        self.place_focus()
        self._load_more()
        self._mark_seen()
        self._has_news = True
        self.paint()

    def clear(self) -> None:
        """Draw the screen anew, without what the program said."""
        self.timeline.clear_notices()
        self.redraw()

    def quit(self) -> None:
        """End the program, in good order."""
        if self.app.is_running and not self.app.is_done:
            self.app.exit()

    # Running --------------------------------------------------------------------------

    async def run(self) -> Exception | None:
        """Run until the person quits; return what stopped the link, if that was why."""
        path = self._paths.state / "chat.log" if self._paths is not None else None
        with journal(path, self.flash), set_app(self.app), self._signals():
            self._open_last()
            self._link.start()
            workers = [
                asyncio.create_task(self.outgoing.send()),
                asyncio.create_task(self.outgoing.carry_out()),
            ]
            try:
                with contextlib.suppress(EOFError):
                    await self.app.run_async(set_exception_handler=False)
            finally:
                self._title.restore()
                await self.outgoing.drain()
                await self._close([*workers, *self._tasks])
        return self._error

    async def _close(self, tasks: list[asyncio.Task[None]]) -> None:
        if self._paint_timer is not None:
            self._paint_timer.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.loader.close()
        await self.composer.close()
        await self._notifier.close()
        await self._ringer.close()
        self._say_what_is_left()
        await self._link.close()

    def _say_what_is_left(self) -> None:
        """Say, on the terminal that is given back, what goes on next time."""
        if any(item.state == "waiting" for item in self._link.outbox_items()):
            self.write_raw("what waits in the outbox is sent at the next start\r\n")
        if any(not each.is_over for each in self._link.transfers.items):
            self.write_raw("the files under way go on at the next start\r\n")

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Let the signals that end programs end this one in good order.

        Else the terminal would be left as it is now.
        """
        loop = asyncio.get_running_loop()
        ends = [signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])]
        with contextlib.suppress(NotImplementedError, ValueError):
            for each in ends:
                loop.add_signal_handler(each, self.quit)
        try:
            yield
        finally:
            with contextlib.suppress(NotImplementedError, ValueError):
                for each in ends:
                    loop.remove_signal_handler(each)

    def _open_last(self) -> None:
        ws = self.workspace
        self._last = self._room or ws.settings.last_chat(ws.server, ws.model.me)
        if not self._try_last():
            self._open_none()

    def _try_last(self) -> bool:
        """Open the chat of last time, if that is possible already."""
        last = self._last
        if last is None or (last[0] == "#" and last not in self._link.model.chats):
            return False
        self.workspace.switch(last)
        return True

    def _open_none(self) -> None:
        self.workspace.current = None
        if self.timeline.address is not None:
            self.timeline.welcome = nothing_open(self.wishes.keys)
        self.timeline.open(None)
        self.composer.open(None)
        self.screen.opened(None)
        self.place_focus()
        self._has_news = True

    @staticmethod
    def now() -> float:
        """Return the time of the clock that the link gives to the model."""
        return asyncio.get_running_loop().time()

    def enter(self, text: str) -> None:
        """Carry out a command, as if it had been typed."""
        self.outgoing.submit(text)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that ends with the face at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def write_raw(self, text: str) -> None:
        """Write to the terminal past what is drawn; it must not move the cursor."""
        self._output.write_raw(text)
        self._output.flush()

    def flash(self, text: str) -> None:
        """Say something in the status line, for some seconds; "" ends it."""
        self._flash = (text, time.monotonic() + FLASH_SECONDS)
        self.paint()
        if text:
            asyncio.get_running_loop().call_later(FLASH_SECONDS, self.paint)

    @property
    def flashed(self) -> str:
        """What is being said in the status line."""
        text, until = self._flash
        return text if time.monotonic() < until else ""

    def _submit(self, text: str, reply_to: int | None) -> None:
        self.timeline.to_bottom()
        self.outgoing.submit(text, reply_to)

    def _not_sent(self, chat: str, text: str, reason: str) -> None:
        where = ""
        if chat != self.workspace.current:
            where = f" to {chat}"
        elif self.composer.is_empty:
            self.composer.insert(text)
        self.workspace.fail(
            f"your message{where} was not sent: {reason} (Ctrl+Up has it back)"
        )

    # Boxes ----------------------------------------------------------------------------

    @property
    def box_look(self) -> Look:
        """How lines in a box are to look."""
        return Look(
            columns=self.screen.box_cells - 4,
            time_format=self.workspace.settings.time_format,
            me=self._link.model.me,
        )

    def open_box(self, box: ListBox) -> None:
        """Lay a box over the chat."""
        self.box = box
        self.place_focus()
        self.paint()

    def close_box(self) -> None:
        """Take the box away, if there is one."""
        self.box = None
        self.place_focus()
        self.paint()

    @property
    def is_resting(self) -> bool:
        """Whether nothing is to be typed into: messages are chosen, or it is bare."""
        return self.timeline.is_selecting or self.timeline.is_bare

    def place_focus(self) -> None:
        """Give the keys to whatever is in front now."""
        layout = self.app.layout
        if self.box is not None:
            if not layout.has_focus(self.box.focus):
                layout.focus(self.box.focus)
        elif self.is_resting:
            if not layout.has_focus(self.screen.rest):
                layout.focus(self.screen.rest)
        elif not layout.has_focus(self.composer.container):
            self.composer.focus()

    # Painting -------------------------------------------------------------------------

    def paint(self) -> None:
        """Paint at the next opportunity."""
        self.app.invalidate()

    def paint_soon(self) -> None:
        """Paint, along with what changes in the next hundredth of a second."""
        self.timeline.refresh()
        if self._paint_timer is not None:
            return
        loop = asyncio.get_running_loop()
        wait = self._painted_at + GATHER_SECONDS - loop.time()
        if wait <= 0:
            self.paint()
        else:
            self._paint_timer = loop.call_later(wait, self._paint_now)

    def set_bare(self, is_bare: bool) -> None:
        """Show only text, for the terminal's own selection; or all of it again."""
        self.timeline.is_bare = is_bare
        self.place_focus()
        self.paint()

    def redraw(self) -> None:
        """Draw all of it anew, whatever the terminal shows now."""
        output = self._output
        output.reset_attributes()
        output.write_raw("\x1b[r")  # no part of it scrolls alone any more
        output.erase_screen()
        output.cursor_goto(0, 0)
        self.app.renderer.reset(leave_alternate_screen=False)
        self.paint()

    def _paint_now(self) -> None:
        self._paint_timer = None
        self.paint()

    def _before_paint(self, _: Application[None]) -> None:
        if self._has_news and self.box is not None and self.box.is_live:
            self.box.refresh()
        # Esc acts when no key is pressed, but some time after it.
        self.place_focus()
        if self._is_watched(self.workspace.current):
            self._mark_seen()

    def _painted(self, _: Application[None]) -> None:
        self._painted_at = asyncio.get_running_loop().time()
        if self._has_news:
            self._has_news = False
            current = self.workspace.current
            self._title.set(title_text(self._link.model, self.wishes, current))
        self._load_more()

    def _load_more(self) -> None:
        chat = self.workspace.current
        if chat is None or chat not in self._link.model.chats:
            return
        if self.timeline.needs_older:
            self.loader.older(chat)
        gap = self.timeline.visible_gap
        if gap is not None:
            self.loader.fill(gap)

    # What happens ---------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        self.composer.changed(change)
        self.screen.changed(change)
        self._notifier.changed(change)
        match change:
            case EntriesAdded(origin="live") if self._is_watched(change.chat):
                self._mark_seen()
            case TypingSeen() if change.chat == self.workspace.current:
                # It is to go away again, also if nothing else happens meanwhile.
                loop = asyncio.get_running_loop()
                loop.call_later(TYPING_SECONDS, self.paint)
            case TypingSeen():
                return
            case ChatRemoved():
                self._chat_removed(change)
            case SyncDone():
                self._synced()
            case _:
                pass
        self._teller.changed(change)
        self._has_news = True
        self.paint_soon()

    def _state_changed(self, state: LinkState) -> None:
        if state.name == "stopped" and state.error is not None:
            self._error = state.error
            self.quit()
        elif state.name == "online" and self._room is not None:
            self.enter(f"/join {self._room}")
            self._room = None
        if state.name == "online" and state.round_trip_ms is not None:
            shown = steady_ms(self.state.round_trip_ms, state.round_trip_ms)
            state = msgspec.structs.replace(state, round_trip_ms=shown)
        if state != self.state:
            self.state = state
            self.paint_soon()

    def _synced(self) -> None:
        self.loader.came_online()
        if self.workspace.current is None:
            self._try_last()
        self._last = None
        chat = self.workspace.current
        if chat is not None and chat.startswith("#"):
            self.loader.members(chat)
        self._load_more()

    def _chat_removed(self, change: ChatRemoved) -> None:
        if self.previous == change.chat:
            self.previous = None
        if change.chat != self.workspace.current or change.code == "discarded":
            return
        self._open_none()
        if change.code != "left":
            text = f"you are not in {change.chat} any more ({change.code})"
            self.workspace.say(text)

    # Who looks on ---------------------------------------------------------------------

    def focus_changed(self, has_focus: bool) -> None:
        """Take in that the terminal got or lost the focus, which it says as a key."""
        self._is_away = self._is_leaving = not has_focus
        self._notifier.focus_changed(has_focus)

    def _key_pressed(self) -> None:
        self.place_focus()
        if self._is_leaving:
            self._is_leaving = False
        else:
            if self._is_away:  # not any more, whatever the terminal says
                self.focus_changed(True)
            self._mark_seen()
        buffer = self.app.key_processor.key_buffer
        is_escape = len(buffer) == 1 and buffer[0].key == ESCAPE
        is_meant = is_escape and self._escape_does_something()
        self.app.timeoutlen = self.app.ttimeoutlen if is_meant else CHORD_SECONDS

    def _escape_does_something(self) -> bool:
        """Whether Esc alone is to act at once; else it may be the Alt of a next key."""
        composer = self.composer
        is_writing = composer.menu.is_open or composer.reply_to is not None
        is_over = self.box is not None or self.is_resting or composer.is_choosing
        return is_over or is_writing

    def _is_watched(self, chat: str | None) -> bool:
        """Whether a chat is open, and somebody is looking."""
        current = self.workspace.current
        return chat is not None and chat == current and self._notifier.is_watched(chat)

    def _mark_seen(self) -> None:
        """Move the cursor to what can be seen of the chat in the timeline."""
        chat = self._link.model.chats.get(self.timeline.address or "")
        if chat is None or self.box is not None:
            return
        seq = self.timeline.newest_visible_seq
        if seq is not None and seq > chat.read:
            self._link.mark_read(chat.address, seq)

    # What others wrote ----------------------------------------------------------------

    def _emoji(self, name: str) -> str | None:
        """Return the emoji of a name; the table is loaded when one is seen first."""
        if emoji.is_loaded():
            return emoji.find(name)
        if not self._is_loading:
            self._is_loading = True
            self.spawn(self._load_emoji())
        return None

    async def _load_emoji(self) -> None:
        await asyncio.to_thread(emoji.load)
        self.timeline.emoji = emoji.find  # which makes it draw all of it anew
        self.paint_soon()

    def _follow(self, link: str) -> None:
        if not open_link(link, self.environment):
            self.write_raw(copy_sequence(link, self.environment))
            self.flash("the link is copied")

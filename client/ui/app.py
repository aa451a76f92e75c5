"""The full-screen frontend: chat list, timeline, member list, status and composer.

It only shows the model and passes keys on; the link works independently of it, and
nothing here waits for the network before it paints.
"""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Iterable
from typing import Any

from prompt_toolkit.application.current import set_app
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.output import Output

from chatd.system.tasks import Tasks
from client.commands import Registry
from client.commands.input import Entered, parse_input
from client.commands.workspace import Workspace
from client.frontend.interrupts import Interrupts
from client.frontend.runtime import Runtime
from client.frontend.shutdown import ENDS, handling, left_for_next_time
from client.link.reconnect import LinkState
from client.model.changes import Change
from client.notify.delivery import AlertDelivery, Title
from client.notify.notifier import Notified, Notifier, title_text
from client.terminal.focus_events import understand_focus
from client.terminal.hyperlinks import HyperlinkOutput, has_hyperlinks
from client.terminal.screen_output import (
    copy_by_tmux,
    copy_sequence,
    make_screen_output,
    open_link,
)
from client.text.entries import Look
from client.text.styles import Line
from client.ui.composer.composer import Composer
from client.ui.dialogs.dialogs import make_full_registry
from client.ui.dialogs.list_box import ListBox
from client.ui.error_log import error_log
from client.ui.lazy_assets import LazyAssets
from client.ui.link_events import LinkEvents
from client.ui.navigation import Navigation
from client.ui.panels import Panels
from client.ui.read_tracker import ReadTracker
from client.ui.status_messages import Flash, StatusMessages, fold_hint, not_sent
from client.ui.submit import Submitter
from client.ui.timeline.loader import Loader
from client.ui.timeline.timeline import Timeline
from client.ui.toolkit.repaint import Repaint
from client.ui.toolkit_app import make_application


class FullScreen:
    """The full-screen frontend, which owns its parts, its link and its tasks.

    Args:
        runtime: What it is made from.
        input: Where keys come from.
        output: Where to draw.

    Attributes:
        workspace: The open chat, and all that commands act on.
        timeline: The messages of the open chat.
        composer: The message input.
        submitter: Sends what was entered, and runs the commands.
        panels: The layout of the screen, and the rows of its panels.
        app: The application of prompt_toolkit.
        loader: Fetches what is about to be visible.
        interrupts: Handles Ctrl+C.
        dialog: The dialog over the chat, None if there is none.
        state: The state of the link, as the status line shows it.
        navigation: Opens and closes chats.
        link_events: Handles changes of the model and of the link's state.
        read_tracker: Tracks focus and activity, and marks messages as read.
        messages: Reports changes that no message in the timeline shows.
        is_mouse_on: Whether mouse events are handled, and not left to the terminal.
        environment: Environment variables, which tell the kind of terminal.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        input: Input | None = None,
        output: Output | None = None,
    ) -> None:
        understand_focus()
        environment, paths = runtime.environment, runtime.paths
        self.environment = environment
        self.config = runtime.config
        self._output = output or make_screen_output(sys.stdout, environment)
        self._paths = paths
        self.state = LinkState(name="stopped")
        self.link_events = LinkEvents(self, runtime.room)
        self._link = runtime.make_link(self._changed, self._state_changed)
        self._room = runtime.room
        self.dialog: ListBox | None = None
        self.is_mouse_on = self.config.general.mouse
        self._flash = Flash(self.paint)
        self._tasks = Tasks()
        self.workspace = Workspace(
            self._link, runtime.server, runtime.preferences, self
        )
        self.registry: Registry = make_full_registry(self)
        self.timeline = self._make_timeline()
        self.submitter = Submitter(self.workspace, self.registry, self._not_sent)
        self.composer = Composer(
            self.workspace,
            self._submit,
            paths,
            registry=self.registry,
            environment=environment,
        )
        self.loader = Loader(self._link, self.paint_soon)
        self.interrupts = Interrupts(self.workspace)
        self.panels = Panels(self)
        self.messages = StatusMessages(self.workspace)
        self._delivery = AlertDelivery(
            self.config.notify, self.write_raw, environment, self.workspace.fail
        )
        self._notifier = Notifier(
            self._link.model,
            self.config,
            self._delivery.ring,
            front=lambda: self.workspace.current,
            notified=runtime.notified
            or Notified(None, runtime.server, self._link.user),
        )
        self._title = Title(self.write_raw, environment)
        self.read_tracker = ReadTracker(
            self.workspace,
            self.timeline,
            self._notifier,
            lambda: self.dialog is not None,
        )
        self.navigation = Navigation(
            self, self.panels, self.read_tracker, self.link_events.load_more
        )
        self._assets = LazyAssets(self.timeline, self.spawn, self.paint_soon)
        self.app = make_application(
            self, input or create_input(sys.stdin), self._output
        )
        self._repaint = Repaint(self.app, self.timeline.refresh)

    def _make_timeline(self) -> Timeline:
        timeline = Timeline(self.workspace)
        is_linked = isinstance(self._output, HyperlinkOutput)
        timeline.osc8 = is_linked and has_hyperlinks(self.environment)
        timeline.fold_hint = fold_hint(self.config.keys)
        timeline.on_link = self._follow
        return timeline

    # The ``Frontend`` of the workspace ------------------------------------------------

    @property
    def columns(self) -> int:
        """The width of the timeline, in cells."""
        return self.panels.timeline_columns

    @property
    def rows(self) -> int:
        """The height of the timeline, in rows."""
        return self.panels.timeline_rows

    def show(self, lines: Iterable[Line]) -> None:
        """Show lines as a notice, below what is in the open chat."""
        self.timeline.notice(list(lines))
        self.paint_soon()

    def opened(self, address: str) -> None:
        """Show a chat that has just become the open one."""
        self.navigation.opened(address)
        self.link_events.has_news = True
        self.paint()

    def clear(self) -> None:
        """Remove the notices of the open chat, and redraw the screen."""
        self.timeline.clear_notices()
        self.redraw()

    @property
    def size(self) -> Size:
        """The rows and columns of the terminal."""
        return self._output.get_size()

    def suspend(self) -> None:
        """Stop the process, as Ctrl+Z does elsewhere, until it is continued."""
        self.app.suspend_to_background()

    def quit(self) -> None:
        """Stop the application, so that ``run`` cleans up and returns."""
        if self.app.is_running and not self.app.is_done:
            self.app.exit()

    # Running --------------------------------------------------------------------------

    async def run(self) -> Exception | None:
        """Run until the user quits; return what stopped the link, if that was why."""
        path = self._paths.state / "chat.log" if self._paths is not None else None
        ends = dict.fromkeys(ENDS, self.quit)
        with error_log(path, self.flash), set_app(self.app), handling(ends):
            self.navigation.begin(self._room)
            self._link.start()
            self.spawn(self.submitter.send())
            self.spawn(self.submitter.run_commands())
            try:
                # OSError: the terminal is gone, and its state cannot be restored.
                with contextlib.suppress(EOFError, OSError):
                    await self.app.run_async(set_exception_handler=False)
            finally:
                self._title.restore()
                await self.submitter.drain()
                await self._close()
        return self.link_events.error

    async def _close(self) -> None:
        self._repaint.close()
        await self._tasks.close()
        await self.loader.close()
        await self.composer.close()
        await self._notifier.close()
        await self._delivery.close()
        for said in left_for_next_time(self._link):
            self.write_raw(f"{said}\r\n")  # the terminal shows its own screen again
        await self._link.close()

    @staticmethod
    def now() -> float:
        """Return the time, by the clock that the link gives to the model."""
        return asyncio.get_running_loop().time()

    def enter(self, text: str) -> None:
        """Run a command as if it had been typed."""
        entered = parse_input(text, self.workspace.model)
        if entered is not None:
            self.submitter.submit(entered)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task, which is cancelled when the frontend closes."""
        self._tasks.spawn(work)

    def write_raw(self, text: str) -> None:
        """Write straight to the terminal; the text must not move the cursor."""
        with contextlib.suppress(OSError):  # the terminal may be gone
            self._output.write_raw(text)
            self._output.flush()

    def flash(self, text: str) -> None:
        """Show a text in the status line for some seconds; "" ends it."""
        self._flash.say(text)

    @property
    def flashed(self) -> str:
        """The text that ``flash`` shows in the status line now."""
        return self._flash.text

    def _submit(self, entered: Entered, reply_to: int | None) -> None:
        self.timeline.to_bottom()
        self.submitter.submit(entered, reply_to)

    def _not_sent(self, chat: str, text: str, reason: str) -> None:
        where = "" if chat == self.workspace.current else chat
        if not where and self.composer.is_empty:
            self.composer.insert(text)
        self.workspace.fail(not_sent(where, reason, self.config.keys))

    # Dialogs --------------------------------------------------------------------------

    @property
    def dialog_look(self) -> Look:
        """The width and the time format for the lines of a dialog."""
        return Look(
            columns=self.panels.dialog_cells - 4,
            time_format=self.workspace.preferences.time_format,
            me=self._link.model.me,
        )

    def chats_by_wish(self) -> list[str]:
        """Return the chats in the order in which they are likely to be wanted."""
        return self.panels.chats_by_wish()

    def open_dialog(self, dialog: ListBox) -> None:
        """Open a dialog over the chat, in place of any other."""
        self.dialog = dialog
        self.place_focus()
        self.paint()

    def close_dialog(self) -> None:
        """Close the dialog, if there is one."""
        self.dialog = None
        self.place_focus()
        self.paint()

    @property
    def has_no_input(self) -> bool:
        """Whether there is no input: messages are being selected, or it is bare."""
        return self.timeline.is_selecting or self.timeline.is_bare

    def place_focus(self) -> None:
        """Focus the dialog or the composer, or ``panels.rest`` if there is no input."""
        layout = self.app.layout
        if self.dialog is not None:
            if not layout.has_focus(self.dialog.focus):
                layout.focus(self.dialog.focus)
        elif self.has_no_input:
            if not layout.has_focus(self.panels.rest):
                layout.focus(self.panels.rest)
        elif not layout.has_focus(self.composer.container):
            self.composer.focus()

    # Painting -------------------------------------------------------------------------

    def paint(self) -> None:
        """Paint at the next opportunity."""
        self._repaint.paint()

    def paint_soon(self) -> None:
        """Paint, along with what changes in the next hundredth of a second."""
        self._repaint.paint_soon()

    def redraw(self) -> None:
        """Redraw the whole screen, whatever the terminal shows now."""
        self._repaint.redraw()

    def set_bare(self, is_bare: bool) -> None:
        """Switch bare mode: only text, for the terminal's own selection."""
        self.timeline.is_bare = is_bare
        self.place_focus()
        self.paint()

    def before_paint(self) -> None:
        """Update what is about to be painted; called before each frame."""
        if (
            self.link_events.has_news
            and self.dialog is not None
            and self.dialog.is_live
        ):
            self.dialog.refresh()
        # Esc acts only after a timeout, when no key calls ``key_pressed``.
        self.place_focus()
        if self.read_tracker.is_watched(self.workspace.current):
            self.read_tracker.mark_seen()

    def painted(self) -> None:
        """Set the title, and load what the frame lacked; called after each frame."""
        self._repaint.painted()
        if self.link_events.has_news:
            self.link_events.has_news = False
            current = self.workspace.current
            self._title.set(title_text(self._link.model, self.config, current))
        self.link_events.load_more()
        self._assets.painted()

    # Events ---------------------------------------------------------------------------

    def _changed(self, change: Change) -> None:
        self._notifier.changed(change)
        self.link_events.changed(change)

    def _state_changed(self, state: LinkState) -> None:
        self.link_events.state_changed(state)

    @property
    def previous(self) -> str | None:
        """The chat that was open before this one."""
        return self.navigation.previous

    def focus_changed(self, has_focus: bool) -> None:
        """Handle a change of the terminal's focus, which arrives as a key."""
        self.read_tracker.focus_changed(has_focus)

    def key_pressed(self) -> None:
        """Handle the end of a key press; called after the key's own handler."""
        self.place_focus()
        self.read_tracker.key_pressed()

    def _follow(self, link: str) -> None:
        if not open_link(link, self.environment):
            self.spawn(self._copy_link(link))

    async def _copy_link(self, link: str) -> None:
        if not await copy_by_tmux(link, self.environment):
            self.write_raw(copy_sequence(link, self.environment))
        self.flash("the link is copied")

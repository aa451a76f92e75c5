"""Actions on selected messages: copy, reply, unfold, go to the origin, save files."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from chatd.text.safe import clean
from client.model.entries import Entry
from client.terminal.screen_output import copy_by_tmux, copy_sequence
from client.text.entries import gist
from client.text.times import format_time
from client.ui.dialogs.context import Context
from client.ui.dialogs.dialogs import go_to_message

if TYPE_CHECKING:
    from client.keys.actions import Handler

MAX_COPIED_BYTES = 74_994
"""The largest text that terminals copy; they may drop a larger one as a whole."""


class SelectionActions:
    """The handlers of the actions on selected messages.

    Args:
        ui: The full screen that they act on.

    Attributes:
        handlers: The handlers by name of the action.
    """

    def __init__(self, ui: Context) -> None:
        self._ui = ui
        timeline = ui.timeline
        self.handlers: dict[str, Handler] = {
            "select": lambda _: self._begin(),
            "select-up": lambda _: timeline.select_move(-1),
            "select-down": lambda _: timeline.select_move(1),
            "select-page-up": lambda _: timeline.select_move(-10),
            "select-page-down": lambda _: timeline.select_move(10),
            "select-mark": lambda _: timeline.select_toggle(),
            "select-copy": lambda _: self._copy(),
            "select-reply": lambda _: self._reply(),
            "select-fold": lambda _: self._fold(),
            "select-origin": lambda _: self._go_to_origin(),
            "select-save": lambda _: self._save(),
            "select-end": lambda _: self._end(),
        }

    def _begin(self) -> None:
        if not self._ui.timeline.select_start():
            self._ui.flash("there is no message to choose")

    def _end(self) -> None:
        self._ui.timeline.select_clear()
        # At once: what is typed right after Esc must go into the composer.
        self._ui.place_focus()

    def _copy(self) -> None:
        ui = self._ui
        entries = ui.timeline.selected
        text = copied_text(entries, ui.workspace.look.time_format)
        if len(text.encode()) > MAX_COPIED_BYTES:
            ui.flash("that is too much for the terminal: mark less")
            return
        ui.timeline.select_clear()
        count = len(entries)
        said = "copied" if count == 1 else f"{count} messages copied"
        if ui.environment.get("TMUX"):
            ui.spawn(self._copy_in_tmux(text, said))
        else:
            ui.write_raw(copy_sequence(text, ui.environment))
            ui.flash(said)

    async def _copy_in_tmux(self, text: str, said: str) -> None:
        ui = self._ui
        if not await copy_by_tmux(text, ui.environment):
            ui.write_raw(copy_sequence(text, ui.environment))
        ui.flash(said)

    def _reply(self) -> None:
        ui = self._ui
        entries = [entry for entry in ui.timeline.selected if entry.is_message]
        if not entries:
            ui.flash("to that nobody can reply")
            return
        ui.composer.reply_to = entries[-1]
        ui.timeline.select_clear()

    def _fold(self) -> None:
        for entry in self._ui.timeline.selected:
            self._ui.timeline.fold_toggle(entry.seq)

    def _go_to_origin(self) -> None:
        ui = self._ui
        entries = ui.timeline.selected
        address = ui.workspace.current
        if not entries or entries[-1].reply_to is None or address is None:
            ui.flash("that replies to nothing")
            return
        ui.timeline.select_clear()
        go_to_message(ui, address, entries[-1].reply_to)

    def _save(self) -> None:
        ui = self._ui
        files = [entry for entry in ui.timeline.selected if entry.file is not None]
        if not files:
            ui.flash("that is no file")
            return
        ui.timeline.select_clear()
        for entry in files:
            ui.enter(f"/get {entry.seq}")


def copied_text(entries: Sequence[Entry], time_format: str) -> str:
    """Return messages as they are copied: one as its text, several with time and name.

    The text is clean: pasted into a terminal, it contains nothing that acts.
    """
    texts = [clean(gist(entry), is_multiline=True) for entry in entries]
    if len(texts) == 1:
        return texts[0]
    lines = []
    for entry, text in zip(entries, texts, strict=True):
        when = format_time(entry.time_ms, time_format)
        lines.append(f"{when} {clean(entry.sender)}: {text}\n")
    return "".join(lines)

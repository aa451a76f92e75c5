"""Key bindings of the full screen: the table of actions, and terminal events."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prompt_toolkit.filters import Condition, FilterOrBool
from prompt_toolkit.key_binding import KeyBindings, KeyBindingsBase, merge_key_bindings
from prompt_toolkit.keys import Keys

from client.keys.actions import ACTIONS, Action, Place, bind
from client.terminal.focus_events import FOCUS_IN, FOCUS_OUT
from client.ui.context import UiContext

if TYPE_CHECKING:
    from client.keys.actions import Handler

ESCAPE = Keys.Escape


def make_bindings(ui: UiContext, handlers: Mapping[str, "Handler"]) -> KeyBindingsBase:
    """Return the key bindings of the full screen.

    Args:
        ui: The full screen.
        handlers: The handlers by name of the action; those for editing text come
            from the composer.
    """
    is_dialog = Condition(lambda: ui.dialog is not None)
    is_select = Condition(lambda: ui.timeline.is_selecting) & ~is_dialog
    is_bare = Condition(lambda: ui.timeline.is_bare) & ~is_dialog & ~is_select
    is_chat = Condition(lambda: not ui.composer.is_choosing) & ~is_dialog & ~is_select
    is_empty = Condition(lambda: ui.composer.is_empty)
    places: dict[Place, FilterOrBool] = {
        "always": True,
        "chat": is_chat,
        "empty": is_chat & is_empty,
        "select": is_select,
        "list": is_dialog,
    }
    # No text can be edited while the composer is hidden.
    writing: dict[Place, FilterOrBool] = {**places, "chat": is_chat & ~is_bare}
    config = ui.config.keys
    is_writing = {action.name: _is_writing(action, ui) for action in ACTIONS}
    terminal = KeyBindings()
    terminal.add(FOCUS_IN)(lambda _: ui.focus_changed(True))
    terminal.add(FOCUS_OUT)(lambda _: ui.focus_changed(False))
    terminal.add("c-d", filter=is_chat & ~is_bare & is_empty)(lambda _: ui.quit())
    for key in ("<any>", "c-c", "escape", "enter"):
        terminal.add(key, filter=is_bare)(lambda _: ui.set_bare(False))
    terminal.add("<any>", filter=is_select)(lambda _: None)
    terminal.add("c-c", filter=is_select)(lambda _: ui.timeline.select_clear())
    # Otherwise Alt and a letter would act as Esc, followed by the letter as input.
    terminal.add("escape", "<any>", filter=is_select | is_dialog)(lambda _: None)
    return merge_key_bindings(
        [
            terminal,
            bind(
                [action for action in ACTIONS if is_writing[action.name]],
                {**ui.composer.handlers, **handlers},
                config,
                writing,
            ),
            bind(
                [action for action in ACTIONS if not is_writing[action.name]],
                handlers,
                config,
                places,
            ),
        ]
    )


def _is_writing(action: Action, ui: UiContext) -> bool:
    return action.name in ui.composer.handlers or action.name == "interrupt"

"""Builds the prompt_toolkit application: layout, style, keys and the timeout of Esc."""

from prompt_toolkit.application import Application
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input
from prompt_toolkit.output import Output

from client.terminal.themes import make_theme
from client.ui.action_handlers import ActionHandlers
from client.ui.context import UiContext
from client.ui.key_bindings import ESCAPE, make_bindings
from client.ui.toolkit.renderer import use_row_renderer

CHORD_SECONDS = 1.0
"""How long after one key of a chord the next may come."""


def make_application(ui: UiContext, input: Input, output: Output) -> Application[None]:
    """Return the application that paints the full screen and handles its keys.

    Args:
        ui: The full screen; it is called before and after each frame and key.
        input: Where keys come from.
        output: Where to draw.
    """
    general = ui.config.general
    theme = make_theme(general.theme, ui.environment, ui.config.colors)
    app: Application[None] = Application(
        layout=ui.panels.layout,
        key_bindings=make_bindings(ui, ActionHandlers(ui).handlers),
        style=theme.to_style(),
        include_default_pygments_style=False,
        color_depth=theme.to_depth(),
        full_screen=True,
        erase_when_done=True,
        # In bare mode the mouse is left to the terminal, for its own selection.
        mouse_support=Condition(lambda: ui.is_mouse_on and not ui.timeline.is_bare),
        before_render=lambda _: ui.before_paint(),
        after_render=lambda _: ui.painted(),
        input=input,
        output=output,
    )
    use_row_renderer(app)
    app.ttimeoutlen = general.escape_ms / 1_000

    def key_pressed() -> None:
        ui.key_pressed()
        buffer = app.key_processor.key_buffer
        is_escape = len(buffer) == 1 and buffer[0].key == ESCAPE
        is_meant = is_escape and _escape_does_something(ui)
        app.timeoutlen = app.ttimeoutlen if is_meant else CHORD_SECONDS

    app.key_processor.before_key_press += lambda _: ui.read_tracker.key_begins()
    app.key_processor.after_key_press += lambda _: key_pressed()
    return app


def _escape_does_something(ui: UiContext) -> bool:
    """Whether Esc acts on its own now, so that it need not wait for a second key.

    Otherwise it may be the first half of Alt and another key.
    """
    composer = ui.composer
    is_writing = composer.menu.is_open or composer.reply_to is not None
    is_over = ui.dialog is not None or ui.has_no_input or composer.is_choosing
    return is_over or is_writing

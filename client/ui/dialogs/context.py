"""What dialogs and panels need of the full screen."""

from collections.abc import Coroutine, Mapping
from typing import Any, Protocol

from prompt_toolkit.data_structures import Size

from client.commands import Registry
from client.commands.workspace import Workspace
from client.config.config_file import ClientConfig
from client.link.reconnect import LinkState
from client.text.entries import Look
from client.ui.composer.composer import Composer
from client.ui.dialogs.list_box import ListBox
from client.ui.timeline.loader import Loader
from client.ui.timeline.timeline import Timeline


class Context(Protocol):
    """The full screen, as its dialogs and panels see it.

    Attributes:
        workspace: The open chat, and all that commands act on.
        timeline: The messages of the open chat.
        composer: The message input.
        loader: Fetches what is about to be visible.
        config: The configuration from ``client.toml``.
        registry: The commands.
        environment: Environment variables, which tell the kind of terminal.
        dialog: The dialog over the chat, None if there is none.
        state: The state of the link, as the status line shows it.
    """

    workspace: Workspace
    timeline: Timeline
    composer: Composer
    loader: Loader
    config: ClientConfig
    registry: Registry
    environment: Mapping[str, str]
    dialog: ListBox | None
    state: LinkState

    @property
    def size(self) -> Size:
        """The rows and columns of the terminal."""

    @property
    def dialog_look(self) -> Look:
        """The width and the time format for the lines of a dialog."""

    @property
    def previous(self) -> str | None:
        """The chat that was open before this one."""

    @property
    def flashed(self) -> str:
        """The text that ``flash`` shows in the status line now."""

    def chats_by_wish(self) -> list[str]:
        """Return the chats in the order in which they are likely to be wanted."""

    def now(self) -> float:
        """Return the time, by the clock that the link gives to the model."""

    def enter(self, text: str) -> None:
        """Run a command as if it had been typed."""

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine as a task, which is cancelled when the frontend closes."""

    def flash(self, text: str) -> None:
        """Show a text in the status line for some seconds; "" ends it."""

    def paint(self) -> None:
        """Paint at the next opportunity."""

    def open_dialog(self, dialog: ListBox) -> None:
        """Open a dialog over the chat, in place of any other."""

    def close_dialog(self) -> None:
        """Close the dialog, if there is one."""

    def place_focus(self) -> None:
        """Focus the dialog or the composer, whichever takes keys now."""

    def write_raw(self, text: str) -> None:
        """Write straight to the terminal; the text must not move the cursor."""

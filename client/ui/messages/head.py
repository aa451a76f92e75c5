"""The head of the timeline: the beginning of the chat, or the welcome."""

from collections.abc import Sequence

from chatd.text.safe import display
from client.model.chat import Chat
from client.text.entries import Look, table_lines
from client.text.styles import Line
from client.ui.messages.rows import notice_rows, rule_row
from client.ui.messages.rowstyle import RowStyle

_COMMANDS = (
    ("/rooms", "list the rooms that everybody may enter"),
    ("/join #room", "enter one of them"),
    ("/create #room", "make a room"),
    ("/query @user", "talk to one person"),
    ("/help", "all commands and keys"),
)


def head_rows(
    chat: Chat | None,
    address: str | None,
    style: RowStyle,
    welcome: Sequence[Line] | None = None,
) -> tuple[Line, ...]:
    """Return the rows above the oldest loaded entry.

    Args:
        chat: The open chat, None if none is open or nothing is known of it.
        address: The address of the open chat, None if none is open.
        style: The style of the rows.
        welcome: Lines to show if no chat is open, instead of ``welcome_lines``.
    """
    if address is None:
        lines = welcome_lines(style) if welcome is None else welcome
        return tuple(row for line in lines for row in notice_rows(line, style))
    if style.is_bare:
        return ([],)
    if chat is not None and chat.older() is not None:
        return (rule_row("earlier messages are not loaded yet", "class:gap", style),)
    if chat is not None and chat.entries:
        text = f"the beginning of {display(address)}"
        return (rule_row(text, "class:divider", style),)
    line = [("class:notice", "-- nothing was written here so far")]
    return tuple(notice_rows(line, style))


def welcome_lines(style: RowStyle) -> list[Line]:
    """Return the welcome for a user without chats."""
    look = Look(columns=style.width)
    return [
        [("class:heading", "Welcome!")],
        [("", "")],
        [("", "Here is where messages will be. Some things to type below:")],
        [("", "")],
        *table_lines(_COMMANDS, look),
        [("", "")],
        [("class:notice", "Tab completes commands, names and rooms.")],
    ]

"""What stands above all else in the timeline: where a chat begins, or the welcome."""

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
    """Return what stands above the oldest entry that is loaded.

    Args:
        chat: What is known of the open chat, if anything is.
        address: Of the open chat; None if none is open.
        style: How rows are to look.
        welcome: What to say if none is open, instead of the usual.
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
    """Return what somebody reads who has no chat yet."""
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

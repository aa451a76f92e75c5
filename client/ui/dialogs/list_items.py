"""The items that dialogs list, as pure functions: chats, users, files, days, help."""

from collections.abc import Iterable, Sequence
from datetime import date

from chatd.text.safe import display
from client.commands.workspace import Workspace
from client.model.entries import Transfer
from client.text.entries import excerpt
from client.text.files import transfer_text
from client.text.styles import Line
from client.text.times import BadTimeError, format_day, local, parse_since
from client.ui.dialogs.fuzzy import find
from client.ui.dialogs.list_box import Item


def places(workspace: Workspace, addresses: Iterable[str]) -> list[str]:
    """Return the possible destinations: the chats as given, then users, then rooms.

    The rooms are those that were listed last.
    """
    people = (f"@{name}" for name in sorted(workspace.people()))
    return list(dict.fromkeys([*addresses, *people, *workspace.listed]))


def place_items(workspace: Workspace, typed: str, names: Sequence[str]) -> list[Item]:
    """Return the destinations that match what is typed, with their unread counts."""
    return [
        Item(_place_row(workspace, found.name, found.at), found.name)
        for found in find(typed, names)
    ]


def _place_row(workspace: Workspace, address: str, at: Sequence[int]) -> Line:
    shown = display(address)
    row: Line = []
    if shown == address:
        marked = set(at)
        for index, letter in enumerate(shown):
            style = "class:overlay.match" if index in marked else ""
            if row and row[-1][0] == style:
                row[-1] = (style, row[-1][1] + letter)
            else:
                row.append((style, letter))
    else:
        row.append(("", shown))
    chat = workspace.model.chats.get(address)
    if chat is None:
        kind = "a person" if address.startswith("@") else "a room to join"
        row.append(("class:overlay.hint", f"  {kind}"))
    elif chat.unread:
        row.append(("class:sidebar.unread", f"  {chat.unread} unread"))
    elif chat.topic:
        row.append(("class:overlay.hint", f"  {excerpt(display(chat.topic))}"))
    return row


def transfer_items(transfers: Sequence[Transfer], typed: str) -> list[Item]:
    """Return the transfers that contain what is typed, newest first."""
    shown = [(each, display(transfer_text(each))) for each in reversed(transfers)]
    return [
        Item([(_transfer_style(each), text)], None if each.is_over else each.id)
        for each, text in shown
        if typed.lower() in text.lower()
    ]


def _transfer_style(transfer: Transfer) -> str:
    if transfer.state == "failed":
        return "class:error"
    return "class:overlay.hint" if transfer.is_over else ""


def day_items(typed: str, days: Iterable[date]) -> list[Item]:
    """Return the days that may be meant: the one typed, or loaded ones that contain it.

    Args:
        typed: ``2026-11-20``, or ``3d`` for three days ago; "" lists all of ``days``.
        days: The days of the loaded messages.
    """
    typed = typed.strip()
    found = sorted(set(days), reverse=True)
    if typed:
        try:
            found = [local(parse_since(typed)).date()]
        except BadTimeError:
            found = [day for day in found if typed in day.isoformat()]
    return [Item([("", f"{_day_text(day)}  {day.isoformat()}")], day) for day in found]


def _day_text(day: date) -> str:
    # Noon, so that no time zone turns it into another day.
    noon = f"{day.isoformat()} 12:00"
    return format_day(parse_since(noon))


def help_items(lines: Sequence[Line], typed: str) -> list[Item]:
    """Return the lines of the help that contain what is typed, with their headings."""
    wanted = typed.lower()
    items: list[Item] = []
    heading: Line | None = None
    for line in lines:
        if line and line[0][0] == "class:heading":
            heading = line
        elif wanted in "".join(text for _, text in line).lower():
            if heading is not None:
                items.append(Item(heading))
                heading = None
            items.append(Item(line, ""))
    return items

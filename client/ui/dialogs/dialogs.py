"""The boxes over the chat: help, the switcher, a search, days, files on their way."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date
from typing import TYPE_CHECKING

from client.commands import Registry, make_registry
from client.commands.workspace import Workspace
from client.model.chat import Chat
from client.text.times import local
from client.ui.dialogs.list_box import Item, ListBox
from client.ui.dialogs.list_items import (
    day_items,
    help_items,
    place_items,
    places,
    transfer_items,
)
from client.ui.help import help_lines
from client.ui.sidebar import rank_of

if TYPE_CHECKING:
    from client.ui.app import FullScreen

HELP, FILES = "Help", "Files"


def make_full_registry(face: "FullScreen") -> Registry:
    """Return the commands; ``/help`` alone opens the help over the chat."""
    registry = Registry()
    usual = make_registry()
    explain = usual.find("help").handler

    async def show_help(ws: Workspace, args: str) -> None:
        if args:
            await explain(ws, args)
        else:
            open_help(face)

    for command in usual.all():
        if command.name == "help":
            command = dataclasses.replace(command, handler=show_help)
        registry.add(command)
    return registry


def toggle(face: "FullScreen", title: str, open_: Callable[[], None]) -> None:
    """Open a box, or close it if it is the one that is open."""
    box = face.box
    if box is not None:
        face.close_box()
    if box is None or box.title != title:
        open_()


def open_help(face: "FullScreen") -> None:
    """Show all keys and commands."""

    def find_help(typed: str) -> Sequence[Item]:
        lines = help_lines(
            face.box_look, face.wishes.keys, face.registry, wanted=typed.strip()
        )
        return help_items(lines, "")

    face.open_box(
        ListBox(
            HELP,
            "type to find   Up Down PageUp PageDown   Esc closes",
            find_help,
            lambda _: face.close_box(),
        )
    )


def open_switcher(face: "FullScreen") -> None:
    """Find a chat, a person or a listed room by a few letters."""
    ws = face.workspace
    names = places(ws, _by_wish(face))

    def go(address: str) -> None:
        face.close_box()
        if address.startswith("#") and address not in ws.model.chats:
            face.enter(f"/join {address}")
        else:
            ws.switch(address)

    face.open_box(
        ListBox(
            "Go to",
            "type a few letters   Enter goes there   Esc closes",
            lambda typed: place_items(ws, typed, names),
            go,
            empty="no chat or person of that name: /join #room, /query @person",
            is_live=True,
        )
    )


def _by_wish(face: "FullScreen") -> list[str]:
    """Return the chats as one may want to go there: what is unread comes first.

    Then comes the chat where one was before; last is the one that is open.
    """

    def place(chat: Chat) -> int:
        if chat.address == face.workspace.current:
            return 3
        if rank_of(chat, face.screen.is_quiet) < 2:
            return 0
        return 1 if chat.address == face.previous else 2

    return [chat.address for chat in sorted(face.screen.chats, key=place)]


def open_days(face: "FullScreen") -> None:
    """Go to the messages of a day."""
    chat = face.workspace.chat
    if chat is None:
        face.flash("no chat is open")
        return
    address = chat.address
    days = {local(entry.time_ms).date() for entry in chat.entries}

    def is_open() -> bool:
        return face.workspace.current == address

    async def go(day: date) -> None:
        if not face.timeline.to_date(day):
            face.flash(f"looking for {day.isoformat()} …")
            await face.loader.until_day(address, day, is_open)
            if not is_open():
                return
            is_there = face.timeline.to_date(day)
            face.flash("" if is_there else _why_not(chat, day))

    def chosen(day: date) -> None:
        face.close_box()
        face.spawn(go(day))

    face.open_box(
        ListBox(
            "Go to a day",
            "2026-11-20, or 3d for three days ago   Enter goes there   Esc closes",
            lambda typed: day_items(typed, days),
            chosen,
            empty="that is no day",
        )
    )


def _why_not(chat: Chat, day: date) -> str:
    """Return why one cannot go to a day."""
    if chat.older() is not None and _first_day(chat) > day:
        return "what is older cannot be had just now"
    return f"nothing was written since {day.isoformat()}"


def _first_day(chat: Chat) -> date:
    return local(chat.entries[0].time_ms).date() if chat.entries else date.max


def open_transfers(face: "FullScreen") -> None:
    """Show the files on their way; Enter cancels one."""
    transfers = face.workspace.link.transfers

    def cancel(number: int) -> None:
        transfers.cancel(number)
        if face.box is not None:
            face.box.refresh()

    face.open_box(
        ListBox(
            FILES,
            "Enter cancels one that is on its way   Esc closes",
            lambda typed: transfer_items(transfers.items, typed),
            cancel,
            unasked="no file was sent or fetched: /send PATH, /get NAME",
            is_live=True,
        )
    )


def go_to_message(face: "FullScreen", address: str, seq: int) -> None:
    """Show a message of a chat, loaded first if it is not here."""

    async def load() -> None:
        is_there = await face.loader.around(address, seq)
        if face.workspace.current != address:
            return
        if not (is_there and face.timeline.to_seq(seq)):
            face.flash("that message cannot be had just now")
        face.paint()

    if not face.timeline.to_seq(seq):
        face.spawn(load())

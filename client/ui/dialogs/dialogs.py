"""Opens the dialogs over the chat: help, chat switcher, days and file transfers."""

import dataclasses
from collections.abc import Callable, Sequence
from datetime import date

from client.commands import Registry, make_registry
from client.commands.context import CommandContext
from client.model.chat import Chat
from client.text.times import local
from client.ui.dialogs.context import Context
from client.ui.dialogs.help import help_lines
from client.ui.dialogs.list_box import Item, ListBox
from client.ui.dialogs.list_items import (
    day_items,
    help_items,
    place_items,
    places,
    transfer_items,
)

HELP, FILES = "Help", "Files"


def make_full_registry(ui: Context) -> Registry:
    """Return the commands; ``/help`` without arguments opens the help dialog."""
    registry = Registry()
    usual = make_registry()
    explain = usual.find("help").handler

    async def show_help(entered: CommandContext, args: str) -> None:
        if args:
            await explain(entered, args)
        else:
            open_help(ui)

    for command in usual.all():
        if command.name == "help":
            command = dataclasses.replace(command, handler=show_help)
        registry.add(command)
    return registry


def toggle(ui: Context, title: str, open_: Callable[[], None]) -> None:
    """Open a dialog, or close it if it is open; any other dialog is closed."""
    dialog = ui.dialog
    if dialog is not None:
        ui.close_dialog()
    if dialog is None or dialog.title != title:
        open_()


def open_help(ui: Context) -> None:
    """Open a dialog with all keys and commands."""

    def find_help(typed: str) -> Sequence[Item]:
        lines = help_lines(
            ui.dialog_look, ui.config.keys, ui.registry, wanted=typed.strip()
        )
        return help_items(lines, "")

    ui.open_dialog(
        ListBox(
            HELP,
            "type to find   Up Down PageUp PageDown   Esc closes",
            find_help,
            lambda _: ui.close_dialog(),
        )
    )


def open_switcher(ui: Context) -> None:
    """Open the chat switcher, which finds chats, users and listed rooms by letters."""
    workspace = ui.workspace
    names = places(workspace, ui.chats_by_wish())

    def go(address: str) -> None:
        ui.close_dialog()
        if address.startswith("#") and address not in workspace.model.chats:
            ui.enter(f"/join {address}")
        else:
            workspace.switch(address)

    ui.open_dialog(
        ListBox(
            "Go to",
            "type a few letters   Enter goes there   Esc closes",
            lambda typed: place_items(workspace, typed, names),
            go,
            empty="no chat or person of that name: /join #room, /query @person",
            is_live=True,
        )
    )


def open_days(ui: Context) -> None:
    """Open a dialog to go to the messages of a day."""
    chat = ui.workspace.chat
    if chat is None:
        ui.flash("no chat is open")
        return
    address = chat.address
    days = {local(entry.time_ms).date() for entry in chat.entries}

    def is_open() -> bool:
        return ui.workspace.current == address

    async def go(day: date) -> None:
        if not ui.timeline.to_date(day):
            ui.flash(f"looking for {day.isoformat()} …")
            await ui.loader.until_day(address, day, is_open)
            if not is_open():
                return
            is_there = ui.timeline.to_date(day)
            ui.flash("" if is_there else _why_not(chat, day))

    def chosen(day: date) -> None:
        ui.close_dialog()
        ui.spawn(go(day))

    ui.open_dialog(
        ListBox(
            "Go to a day",
            "2026-11-20, or 3d for three days ago   Enter goes there   Esc closes",
            lambda typed: day_items(typed, days),
            chosen,
            empty="that is no day",
        )
    )


def _why_not(chat: Chat, day: date) -> str:
    """Return why it is not possible to go to a day."""
    if chat.older() is not None and _first_day(chat) > day:
        return "what is older cannot be had just now"
    return f"nothing was written since {day.isoformat()}"


def _first_day(chat: Chat) -> date:
    return local(chat.entries[0].time_ms).date() if chat.entries else date.max


def open_transfers(ui: Context) -> None:
    """Open a dialog with the file transfers; Enter cancels one."""
    transfers = ui.workspace.link.transfers

    def cancel(number: int) -> None:
        transfers.cancel(number)
        if ui.dialog is not None:
            ui.dialog.refresh()

    ui.open_dialog(
        ListBox(
            FILES,
            "Enter cancels one that is on its way   Esc closes",
            lambda typed: transfer_items(transfers.items, typed),
            cancel,
            unasked="no file was sent or fetched: /send PATH, /get NAME",
            is_live=True,
        )
    )


def go_to_message(ui: Context, address: str, seq: int) -> None:
    """Go to a message of the open chat; it is loaded first if necessary.

    Args:
        ui: The full screen.
        address: The address of the open chat.
        seq: The message. Nothing happens if another chat is open once it is loaded.
    """

    async def load() -> None:
        is_there = await ui.loader.around(address, seq)
        if ui.workspace.current != address:
            return
        if not (is_there and ui.timeline.to_seq(seq)):
            ui.flash("that message cannot be had just now")
        ui.paint()

    if not ui.timeline.to_seq(seq):
        ui.spawn(load())

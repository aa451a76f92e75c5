"""Message search: at once in the cache of this device, further back on request."""

import asyncio
from collections.abc import Sequence
from typing import Any

from chatd.protocol.errors import ChatError
from chatd.text.safe import display, width
from client.errors import LinkError
from client.model.entries import Entry
from client.text.entries import Look, gist
from client.text.styles import Line, colour_of
from client.text.times import format_time, local
from client.ui.dialogs.context import Context
from client.ui.dialogs.dialogs import go_to_message
from client.ui.dialogs.list_box import Item, ListBox

MAX_FOUND = 200
PAGE = 200
MAX_PAGES = 50
"""How many pages one request to look further back loads at most."""

_FURTHER = "further"
_UNDER_WAY = "under way"
# How many characters of a long message are considered around the match.
_BEFORE, _AFTER = 100, 400


def open_search(ui: Context) -> None:
    """Open a search in the open chat."""
    address = ui.workspace.current
    if address is None:
        ui.flash("no chat is open")
    else:
        Search(ui, address).open()


class Search:
    """A search in one chat.

    Args:
        ui: The full screen.
        address: The address of the chat.
    """

    def __init__(self, ui: Context, address: str) -> None:
        self._ui = ui
        self._address = address
        self._wanted = ""
        # The matches for that: in the cache, and further back.
        self._found: list[Entry] = []
        self._older: list[Entry] = []
        self._is_looking = False
        # Whether the whole cache was searched, and whether a thread is doing so now.
        self._is_whole = True
        self._is_searching = False
        self._dialog = ListBox(
            f"Search in {address}",
            "type to find   Enter goes there   Esc closes",
            self._find,
            self._open,
            empty="not found in what this device has seen of this chat",
            unasked="type what to look for",
        )

    def open(self) -> None:
        """Open the dialog."""
        self._ui.open_dialog(self._dialog)

    def _find(self, typed: str) -> list[Item]:
        wanted = typed.strip().casefold()
        is_longer = bool(self._wanted) and wanted.startswith(self._wanted)
        self._wanted = wanted
        if is_longer and self._is_whole and not self._is_cut():
            # All matches of the shorter text are known: filter them, without a search.
            self._found = [entry for entry in self._found if _holds(entry, wanted)]
            self._older = [entry for entry in self._older if _holds(entry, wanted)]
        else:
            link = self._ui.workspace.link
            self._found = link.history.search_cached(self._address, wanted, MAX_FOUND)
            self._older = []
            self._search_rest()
        by_seq = {entry.seq: entry for entry in (*self._older, *self._found)}
        newest_first = sorted(by_seq.values(), key=lambda each: each.seq, reverse=True)
        look = self._ui.dialog_look
        items = [Item(result_row(e, wanted, look), e.seq) for e in newest_first]
        if wanted and not self._is_whole:
            text = "looking through what is older …"
            items.append(Item([("class:overlay.hint", text)], _UNDER_WAY))
        elif wanted and not self._is_cut() and self._has_older():
            text = "look further back"
            if not items:
                text = "not found in what this device has seen: look further"
            items.append(Item([("class:overlay.hint", text)], _FURTHER))
        return items

    def _search_rest(self) -> None:
        """Start to search the rest of the cache in a thread, if there is any."""
        link = self._ui.workspace.link
        self._is_whole = (
            not self._wanted
            or self._is_cut()
            or not link.history.has_more_to_search(self._address)
        )
        if not self._is_whole and not self._is_searching:
            self._is_searching = True
            self._ui.spawn(self._search_all())

    async def _search_all(self) -> None:
        """Search the whole cache; again if what is typed changed meanwhile."""
        link = self._ui.workspace.link
        while not self._is_whole and self._ui.dialog is self._dialog:
            wanted = self._wanted
            found = await link.history.search_all_cached(
                self._address, wanted, MAX_FOUND
            )
            if wanted == self._wanted:
                self._found, self._is_whole = found, True
        self._is_searching = False
        self._dialog.refresh()
        self._ui.paint()

    def _is_cut(self) -> bool:
        """Whether the matches were cut off at ``MAX_FOUND``, so there may be more."""
        return len(self._found) >= MAX_FOUND

    def _has_older(self) -> bool:
        chat = self._ui.workspace.model.chats.get(self._address)
        return chat is not None and chat.older() is not None

    def _open(self, value: Any) -> None:
        if value == _UNDER_WAY:
            return
        if value != _FURTHER:
            self._ui.timeline.highlight = self._dialog.buffer.text.strip() or None
            self._ui.close_dialog()
            go_to_message(self._ui, self._address, value)
        elif not self._is_looking:
            self._ui.spawn(self._look_further(self._wanted))

    async def _look_further(self, wanted: str) -> None:
        """Load older pages until one has a match that is not in the list yet."""
        listed = {item.value for item in self._dialog.items}
        self._is_looking = True
        self._ui.flash("looking further back …")
        found: list[Entry] = []
        said = "not found so far: Enter looks further"
        try:
            for _ in range(MAX_PAGES):
                page = await self._load_page()
                # Otherwise pages from the cache would hold up keys and painting.
                await asyncio.sleep(0)
                if not self._is_asked(wanted):
                    return
                found = [e for e in page if e.seq not in listed and _holds(e, wanted)]
                if found:
                    break
                if not page:
                    said = "nothing was found further back"
                    break
        except (ChatError, LinkError):
            said = "what is older cannot be had just now"
        finally:
            self._is_looking = False
        self._show(found, said)

    async def _load_page(self) -> Sequence[Entry]:
        """Load the page before the oldest entry of the model, and return it."""
        link = self._ui.workspace.link
        chat = link.model.chats.get(self._address)
        oldest = chat.entries[0].seq if chat is not None and chat.entries else None
        if not await link.history.load_older(self._address, PAGE):
            return ()
        chat = link.model.chats.get(self._address)
        if chat is None:
            return ()
        return chat.entries[: None if oldest is None else chat.index(oldest)]

    def _is_asked(self, wanted: str) -> bool:
        return self._ui.dialog is self._dialog and self._wanted == wanted

    def _show(self, found: Sequence[Entry], said: str) -> None:
        self._older += found
        self._dialog.refresh()
        if found:
            self._dialog.choose(found[-1].seq)
        self._ui.flash("" if found else said)


def result_row(entry: Entry, wanted: str, look: Look) -> Line:
    """Return one line for a message that was found, with the match highlighted.

    Args:
        entry: The message.
        wanted: The text that was searched for, case-folded.
        look: The width of the line and the time format.
    """
    day = local(entry.time_ms).date().isoformat()
    when = f"{day} {format_time(entry.time_ms, look.time_format)} "
    who = display(entry.sender)
    space = look.columns - width(when) - width(who) - 1
    before, found, after = _excerpt(entry, wanted, space)
    return [
        ("class:time", when),
        (colour_of(entry.sender), who),
        ("", f" {before}"),
        ("class:overlay.match", found),
        ("", after),
    ]


def _excerpt(entry: Entry, wanted: str, space: int) -> tuple[str, str, str]:
    """Return the text of a message before, at and after the first match."""
    name = entry.file.name if entry.file is not None and entry.text else ""
    said = f"{name} {gist(entry)}" if name else gist(entry)
    begin = max(0, said.casefold().find(wanted) - _BEFORE)
    text = " ".join(display(said[begin : begin + _BEFORE + _AFTER]).split())
    at = max(0, text.casefold().find(wanted))
    start = 0
    if begin or width(text[: at + len(wanted)]) > space:
        start = max(0, at - max(0, space // 3))
        blank = text.find(" ", start, at)
        start = blank + 1 if blank >= 0 else start
    sign = "…" if begin or start else ""
    end = at + len(wanted)
    return sign + text[start:at], text[at:end], text[end:]


def _holds(entry: Entry, wanted: str) -> bool:
    if not entry.is_message or entry.is_deleted:
        return False
    name = entry.file.name if entry.file is not None else ""
    return wanted in entry.text.casefold() or wanted in name.casefold()

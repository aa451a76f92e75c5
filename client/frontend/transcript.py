"""The transcript: events as lines, for frontends that only ever append lines.

A ``Transcript`` is called with every change of the model and of the link, and shows as
lines what the user wants to know of it; the rest (cursors, presence of users whose chat
is not open) it ignores.
"""

from collections.abc import Sequence
from datetime import date

from chatd.protocol.errors import ChatError
from chatd.text.safe import clean
from client.commands.chats import say_unread
from client.commands.workspace import Workspace
from client.errors import LinkError
from client.frontend.send_feedback import Later, SendFeedback
from client.link.reconnect import LinkState
from client.model.changes import (
    Change,
    ChatRemoved,
    EntriesAdded,
    InvitesChanged,
    ItemChanged,
    Notice,
    PresenceChanged,
    Reset,
    SyncDone,
    TransferChanged,
)
from client.model.chat import Chat
from client.model.entries import Entry, Transfer
from client.text.entries import day_divider, divider
from client.text.files import outcome_text, transfer_title
from client.text.styles import Line
from client.text.times import local

CONTEXT = 20
"""How many messages are shown when a chat is opened, if nothing is unread."""

MAX_OPENED = 100
ANNOUNCE_SECONDS = 0.3


class Transcript:
    """Shows changes of the model and of the link as lines.

    Args:
        workspace: Where they are shown.
        later: Schedules calls.
    """

    def __init__(self, workspace: Workspace, later: Later) -> None:
        self._workspace = workspace
        self._feedback = SendFeedback(workspace, later)
        self._statuses: dict[str, str] = {}
        self._later = later
        # Transfers: those seen so far, not announced yet, and reported as over.
        self._met: set[int] = set()
        self._unannounced: dict[int, Transfer] = {}
        self._over: set[int] = set()
        # The chat whose entries are on the screen; None while one is being opened.
        self._on_screen: str | None = None
        self._day: date | None = None
        self._was_online = False
        self._is_outage_reported = False
        self._is_first_sync = True
        self._has_news = False

    def begin(self) -> None:
        """Handle the transfers that are under way once the link is started."""
        for transfer in self._workspace.link.transfers.items:
            if not transfer.is_over:
                self._transfer(transfer)

    # The link -------------------------------------------------------------------------

    def state_changed(self, state: LinkState) -> None:
        """Handle a new state of the link; report it where it is news."""
        if state.name == "waiting" and (
            self._was_online or not self._is_outage_reported
        ):
            reason = f" ({state.reason})" if state.reason else ""
            lost = "connection lost" if self._was_online else "no connection"
            self._workspace.say(
                f"{lost}{reason}, retrying in {max(1, state.seconds):.0f} s"
            )
            self._is_outage_reported = True
            self._was_online = False
        elif state.name == "online" and not self._was_online:
            self._was_online = True
            self._say_online()
            self._is_outage_reported = False

    def _say_online(self) -> None:
        if not self._is_first_sync:
            self._workspace.say("back online")
            return
        hello = self._workspace.link.hello
        name = hello.name if hello else self._workspace.server
        self._workspace.say(f"online as {self._workspace.model.me} at {name}")
        if hello is not None and hello.motd:
            self._workspace.say(hello.motd)

    # The model ------------------------------------------------------------------------

    def changed(self, change: Change) -> None:
        """Handle a change of the model; show it if the user wants to know of it."""
        match change:
            case EntriesAdded():
                self._add(change)
            case ItemChanged():
                self._feedback.item_changed(change.item, change.is_discarded)
            case ChatRemoved():
                self._removed(change)
            case InvitesChanged():
                self._invited(change.room)
            case PresenceChanged():
                self._presence(change.users)
            case TransferChanged():
                self._transfer(change.transfer)
            case SyncDone():
                self._synced()
            case Reset():
                self._workspace.say(
                    "the server has begun anew, so what was kept of it here is dropped"
                )
            case Notice():
                self._workspace.say(change.text)
            case _:
                pass

    def _add(self, change: EntriesAdded) -> None:
        if change.origin in ("history", "cache"):
            return
        entries = [
            entry
            for entry in change.entries
            if not self._feedback.is_shown_already(entry)
        ]
        if change.chat == self._workspace.current:
            if change.chat == self._on_screen:
                self._tell(entries)
        elif change.origin == "live":
            talk = [entry for entry in entries if entry.is_message]
            self._workspace.show_entries(talk, is_named=True)
        else:
            self._has_news = self._has_news or any(e.is_message for e in entries)

    def _tell(self, entries: Sequence[Entry]) -> None:
        lines: list[Line] = []
        for entry in entries:
            lines += self._lines(entry)
        self._workspace.frontend.show(lines)

    def _lines(self, entry: Entry) -> list[Line]:
        day = local(entry.time_ms).date()
        head: list[Line] = []
        if day != (self._day or local(self._workspace.now_ms).date()):
            head.append(day_divider(entry.time_ms, self._workspace.look))
        self._day = day
        return head + self._workspace.lines_of(entry)

    def _removed(self, change: ChatRemoved) -> None:
        if change.code == "discarded":
            return  # the user may still have it open, to write to it
        if change.code != "left":
            self._workspace.say(
                f"you are not in {change.chat} any more ({change.code})"
            )
        if change.chat == self._workspace.current:
            self._workspace.current = self._on_screen = None

    def _invited(self, room: str) -> None:
        by = self._workspace.model.invites.get(room)
        if by is not None and self._workspace.model.is_synced:
            self._workspace.say(
                f"{by} invites you to {room}: /join {room} or /decline {room}"
            )

    def _presence(self, users: Sequence[str]) -> None:
        for user in users:
            seen = self._workspace.model.presence.get(user)
            if seen is None:
                continue
            before = self._statuses.get(user)
            self._statuses[user] = seen.status
            if (
                before not in (None, seen.status)
                and self._workspace.current == f"@{user}"
            ):
                text = f": {seen.text}" if seen.text else ""
                self._workspace.say(f"{user} is {seen.status}{text}")

    def _transfer(self, transfer: Transfer) -> None:
        if transfer.id not in self._met:
            self._met.add(transfer.id)
            if not self._unannounced:
                self._later(ANNOUNCE_SECONDS, self._announce)
            self._unannounced[transfer.id] = transfer
        if not transfer.is_over or transfer.id in self._over:
            return
        self._over.add(transfer.id)
        if transfer.state == "failed":
            self._workspace.fail(outcome_text(transfer))
        else:
            self._workspace.say(outcome_text(transfer))

    def _announce(self) -> None:
        """Report which transfers of an earlier run continue: not those of this run."""
        met, self._unannounced = self._unannounced, {}
        left = [
            met[n]
            for n in met
            if n not in self._over and n not in self._workspace.begun
        ]
        if len(left) == 1:
            self._workspace.say(f"going on with {transfer_title(left[0])}")
        elif left:
            self._workspace.say(
                f"going on with {len(left)} files: /transfers lists them"
            )

    def _synced(self) -> None:
        if self._is_first_sync:
            self._is_first_sync = False
            for item in self._workspace.link.outbox.items:
                self._feedback.adopt(item)
            if self._workspace.current is not None and self._on_screen is None:
                self._workspace.frontend.opened(self._workspace.current)
        elif not self._has_news:
            return
        self._has_news = False
        self._summary()

    def _summary(self) -> None:
        workspace = self._workspace
        waiting = len(workspace.link.outbox.items)
        if waiting:
            workspace.say(f"{waiting} in the outbox: /outbox lists them")
        say_unread(workspace, is_elsewhere=True)
        if workspace.current is None:
            workspace.say(
                "no chat is open: /join #room enters one, /rooms lists them, /query "
                "@user talks to a person, /help says the rest"
            )

    # Opening a chat -------------------------------------------------------------------

    async def open(self, address: str, is_read: bool = True) -> None:
        """Show a chat: its topic, its latest entries, and where the unread ones begin.

        Args:
            address: The chat, which is the current one.
            is_read: Whether the user reads it now, so that the cursor may follow.
        """
        self._on_screen = None
        chat = self._workspace.model.chats.get(address)
        if chat is not None and self._workspace.is_online:
            await self._load(chat)
        if self._workspace.current != address:
            return
        self._day = None
        title = clean(address)
        if chat is not None and chat.topic:
            title += f"  {clean(chat.topic)}"
        self._workspace.frontend.show([divider(title, self._workspace.look)])
        if chat is not None:
            self._show_chat(chat)
        self._on_screen = address
        if is_read:
            self._workspace.mark_read(address)

    async def _load(self, chat: Chat) -> None:
        wanted = min(MAX_OPENED, max(CONTEXT, chat.unread + 3))
        try:
            while len(chat.entries) < wanted and chat.older():
                if not await self._workspace.link.history.load_older(
                    chat.address, wanted
                ):
                    break
        except (ChatError, LinkError):
            pass  # what is in memory is shown; the link reports what is wrong

    def _show_chat(self, chat: Chat) -> None:
        first = chat.first_unread()
        begin = max(0, len(chat.entries) - self._context)
        if first is not None:
            begin = min(begin, max(0, chat.index(first.seq) - 3))
        begin = max(begin, len(chat.entries) - MAX_OPENED)
        lines: list[Line] = []
        for entry in chat.entries[begin:]:
            if first is not None and entry.seq == first.seq:
                lines.append(divider("new", self._workspace.look))
            lines += self._lines(entry)
        if not chat.entries:
            lines.append([("class:notice", "-- nothing was written here so far")])
        for item in chat.outbox:
            lines += self._workspace.lines_of_item(item)
            self._feedback.shown(item)
        self._workspace.frontend.show(lines)

    @property
    def _context(self) -> int:
        return max(5, min(CONTEXT, self._workspace.frontend.rows - 6))

    def seen(self) -> None:
        """Record that the user is active: what the open chat shows has been read."""
        chat = self._workspace.chat
        if chat is not None and chat.unread and self._on_screen == chat.address:
            self._workspace.mark_read()

"""Decides which messages the user is notified of: each once, and only if wanted.

The notifier is called with every change of the model. A message notifies if it is for
the user (a mention, or in a direct chat) or if everything in its chat is wanted, unless
the user is looking at it, has read it on another device meanwhile, or was notified of
it before: the highest seq notified in each chat is kept on disk, so that neither a
reconnect nor a restart nor a second terminal notifies again. How a notification is
delivered is decided in ``delivery``.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from chatd.system.tasks import Drain
from chatd.text.safe import clean
from client.config.config_file import ClientConfig, Rule
from client.errors import LinkError
from client.model.changes import Change, CursorMoved, EntriesAdded, Reset, SyncDone
from client.model.chat import Chat
from client.model.entries import Entry
from client.model.model import Model
from client.storage.json_file import JsonFile
from client.text.entries import excerpt, gist

GATHER_SECONDS = 0.2
"""How long messages are gathered into one notification."""

WATCH_SECONDS = 30.0
"""How long after a key the user is taken to look at the screen, if the terminal does
not report its focus."""

MAX_TEXT_CELLS = 200
MAX_TITLE_CELLS = 80


class Alert(Struct, frozen=True, kw_only=True):
    """One notification; its texts are clean, short, and on one line.

    Attributes:
        chat: The address of the newest message's chat.
        sender: The sender of that message.
        title: The sender and the chat, or how many messages there are.
        text: What was written.
        count: How many messages it is about.
    """

    chat: str
    sender: str
    title: str
    text: str
    count: int = 1


def is_wanted(entry: Entry, rule: Rule, me: str, is_mention: bool) -> bool:
    """Whether the user wants to be notified of an entry, by the rule of its chat."""
    if not entry.is_message or entry.is_deleted or entry.sender == me:
        return False
    if rule == "mentions":
        return is_mention or entry.chat.startswith("@")
    return rule == "all"


def make_alert(entries: Sequence[Entry]) -> Alert:
    """Return the notification of one or more messages, oldest first."""
    newest = entries[-1]
    chats = {entry.chat for entry in entries}
    chat, sender = clean(newest.chat), clean(newest.sender)
    text = excerpt(gist(newest), MAX_TEXT_CELLS)
    if newest.kind == "file" and not newest.text:
        text = f"[file] {text}"
    if len(entries) == 1:
        title = chat if chat == f"@{sender}" else f"{sender} in {chat}"
    else:
        place = chat if len(chats) == 1 else f"{len(chats)} chats"
        title = f"{len(entries)} messages in {place}"
        text = f"{sender}: {text}"
    return Alert(
        chat=newest.chat,
        sender=newest.sender,
        title=excerpt(title, MAX_TITLE_CELLS),
        text=text,
        count=len(entries),
    )


def title_text(model: Model, config: ClientConfig, current: str | None) -> str:
    """Return what the terminal's title should be: ``(3) #ops - chat``.

    The number counts unread messages that the user is notified of; a star stands for
    other unread messages. "" if no title is wanted.
    """
    if not config.notify.title:
        return ""
    count = 0
    has_more = False
    for chat in model.chats.values():
        if not chat.unread:
            continue
        rule = config.rule_of(chat.address)
        if rule == "nothing":
            continue
        wanted = _wanted_unread(chat, rule)
        count += wanted
        has_more = has_more or not wanted
    sign = f"({count}) " if count else "* " if has_more else ""
    place = f"{excerpt(current, MAX_TITLE_CELLS)} - " if current else ""
    return f"{sign}{place}chat"


def _wanted_unread(chat: Chat, rule: Rule) -> int:
    return chat.unread if rule == "all" or chat.is_direct else chat.mentions


class _Log(Struct):
    # A new log starts its seqs anew, so those of another log do not count.
    id: str = ""
    rung: dict[str, int] = field(default_factory=dict)


class _File(Struct):
    # By server, then by user.
    logs: dict[str, dict[str, _Log]] = field(default_factory=dict)


class Notified:
    """The highest seq notified in each chat of one user, shared by all processes.

    Args:
        path: The file; None keeps it in memory alone.
        server: The server, as the saved logins name it.
        user: The user of the chats.
    """

    def __init__(self, path: Path | None, server: str, user: str) -> None:
        self._file = JsonFile(path, _File)
        self._server = server
        self._user = user

    def claim(
        self, log: str, seqs: Mapping[str, Sequence[int]], read: Mapping[str, int]
    ) -> set[tuple[str, int]]:
        """Return the seqs that were not notified yet, and record them as notified.

        It blocks for the disk, and for other processes that do the same.

        Args:
            log: The id of the server's log.
            seqs: By chat, the seqs to notify of.
            read: By chat, the user's cursor; what is not above it never notifies, so it
                need not be remembered.

        Raises:
            LinkError: The file is damaged; nothing is recorded.
            OSError: It cannot be written.
        """
        fresh: set[tuple[str, int]] = set()

        def edit(file: _File) -> None:
            users = file.logs.setdefault(self._server, {})
            kept = users.get(self._user)
            rung = kept.rung if kept is not None and kept.id == log else {}
            for chat, wanted in seqs.items():
                fresh.update((chat, seq) for seq in wanted if seq > rung.get(chat, 0))
                rung[chat] = max(rung.get(chat, 0), *wanted)
            rung = {
                chat: seq for chat, seq in rung.items() if seq > read.get(chat, seq)
            }
            users[self._user] = _Log(id=log, rung=rung)

        self._file.change(edit)
        return fresh


class Notifier:
    """Turns changes of the model into notifications.

    Args:
        model: The chats and their cursors.
        config: Which chats the user wants to be notified of.
        ring: Called with each notification.
        front: Returns the address of the chat on the screen, if there is one.
        notified: What was notified before.
        now: A steady clock, in seconds.
        gather_seconds: How long messages are gathered into one notification.
    """

    def __init__(
        self,
        model: Model,
        config: ClientConfig,
        ring: Callable[[Alert], None],
        *,
        front: Callable[[], str | None],
        notified: Notified,
        now: Callable[[], float] = time.monotonic,
        gather_seconds: float = GATHER_SECONDS,
    ) -> None:
        self._model = model
        self._config = config
        self._ring = ring
        self._front = front
        self._notified = notified
        self._now = now
        self._pending: list[Entry] = []
        self._has_focus: bool | None = None
        self._active_at = -WATCH_SECONDS
        self._drain = Drain(self._ring_fresh, gather_seconds)

    def focus_changed(self, has_focus: bool) -> None:
        """Record that the terminal got or lost the focus, as it reports itself."""
        self._has_focus = has_focus

    def active(self) -> None:
        """Record that a key was pressed: the user is active."""
        self._active_at = self._now()

    def is_watched(self, chat: str) -> bool:
        """Whether the user is looking at a chat, as far as can be known."""
        if chat != self._front():
            return False
        if self._has_focus is not None:
            return self._has_focus
        return self._now() - self._active_at < WATCH_SECONDS

    def changed(self, change: Change) -> None:
        """Handle a change of the model."""
        match change:
            case EntriesAdded(origin="live" | "backlog"):
                for entry in change.entries:
                    self._take(entry)
                if self._model.is_synced:
                    self._schedule()
            case SyncDone():
                self._schedule()
            case CursorMoved() if change.user == self._model.me:
                self._pending = [e for e in self._pending if self._is_unread(e)]
            case Reset():
                self._pending.clear()
            case _:
                pass

    async def idle(self) -> None:
        """Notify now of what is gathered, and wait until that is done."""
        await self._drain.idle()

    async def close(self) -> None:
        """Drop what is gathered, and wait for what is being notified."""
        self._pending.clear()
        await self.idle()

    # Inside ---------------------------------------------------------------------------

    def _take(self, entry: Entry) -> None:
        rule = self._config.rule_of(entry.chat)
        is_mention = self._model.mentions_me(entry)
        if not is_wanted(entry, rule, self._model.me, is_mention):
            return
        if self._is_unread(entry) and not self.is_watched(entry.chat):
            self._pending.append(entry)

    def _is_unread(self, entry: Entry) -> bool:
        chat = self._model.chats.get(entry.chat)
        return chat is not None and entry.seq > chat.read

    def _schedule(self) -> None:
        if self._pending:
            self._drain.wake()

    async def _ring_fresh(self) -> None:
        entries = [entry for entry in self._pending if self._is_unread(entry)]
        self._pending = []
        if not entries:
            return
        seqs: dict[str, list[int]] = {}
        for entry in entries:
            seqs.setdefault(entry.chat, []).append(entry.seq)
        read = {chat.address: chat.read for chat in self._model.chats.values()}
        try:
            fresh = await asyncio.to_thread(
                self._notified.claim, self._model.log, seqs, read
            )
        except (LinkError, OSError):
            # Better to notify twice than never.
            fresh = {(entry.chat, entry.seq) for entry in entries}
        entries = [entry for entry in entries if (entry.chat, entry.seq) in fresh]
        if entries:
            self._ring(make_alert(entries))

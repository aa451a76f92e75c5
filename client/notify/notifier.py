"""What one is notified of: each message once, and only what is wanted.

The notifier is told of every change of the model. A message rings if it is for oneself
(one's name, or a direct chat) or if everything in its chat is wanted, unless it is in
front of one's eyes, was read on another device meanwhile, or rang before: the highest
seq that rang in each chat is kept on disk, so that neither a reconnect nor a restart
nor a second terminal rings again. How it rings is not decided here.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

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
"""For so long messages are gathered into one notification."""

WATCH_SECONDS = 30.0
"""For so long after a key somebody is taken to look at the screen, if the terminal does
not say."""

MAX_TEXT_CELLS = 200
MAX_TITLE_CELLS = 80


class Alert(Struct, frozen=True, kw_only=True):
    """One notification; its texts are clean, short, and on one line.

    Attributes:
        chat: The address of the newest message's chat.
        sender: Who wrote that message.
        title: Who and where, or how many messages there are.
        text: What was written.
        count: How many messages it is about.
    """

    chat: str
    sender: str
    title: str
    text: str
    count: int = 1


def is_wanted(entry: Entry, rule: Rule, me: str, is_mention: bool) -> bool:
    """Whether one wants to be notified of an entry, going by the rule of its chat."""
    if not entry.is_talk or entry.is_deleted or entry.sender == me:
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

    The number is of what one is notified of and has not read; a star stands for things
    unread that are not for oneself. "" if no title is wanted.
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
    # A log that begins anew counts its seqs anew.
    id: str = ""
    rung: dict[str, int] = field(default_factory=dict)


class _File(Struct):
    # By server, then by user.
    logs: dict[str, dict[str, _Log]] = field(default_factory=dict)


class Notified:
    """The highest seq that rang in each chat of one user, for all processes.

    Args:
        path: The file; None keeps it in memory alone.
        server: As settings know it.
        user: Whose chats they are.
    """

    def __init__(self, path: Path | None, server: str, user: str) -> None:
        self._file = JsonFile(path, _File)
        self._server = server
        self._user = user

    def claim(
        self, log: str, seqs: Mapping[str, Sequence[int]], read: Mapping[str, int]
    ) -> set[tuple[str, int]]:
        """Return those that did not ring yet, and note that they do now.

        It blocks for the disk, and for other processes that do the same.

        Args:
            log: The id of the server's log.
            seqs: By chat, what is to ring.
            read: By chat, one's own cursor; what is not above it never rings, so it
                need not be remembered.

        Raises:
            LinkError: The file is damaged; nothing is noted.
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
    """Decides what rings, and lets it ring.

    Args:
        model: What is known of chats and people.
        config: Of which chats one wants to know.
        ring: Called with each notification.
        front: Returns the address of the chat that is in front, if one is.
        notified: What rang before.
        now: A steady clock, in seconds.
        gather_seconds: For how long messages are gathered into one notification.
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
        self._gather_seconds = gather_seconds
        self._pending: list[Entry] = []
        self._has_focus: bool | None = None
        self._active_at = -WATCH_SECONDS
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def focus_changed(self, has_focus: bool) -> None:
        """Note that the terminal got or lost the focus, as it says itself."""
        self._has_focus = has_focus

    def active(self) -> None:
        """Note that a key was pressed: somebody is there."""
        self._active_at = self._now()

    def is_watched(self, chat: str) -> bool:
        """Whether somebody looks at a chat, as far as can be known."""
        if chat != self._front():
            return False
        if self._has_focus is not None:
            return self._has_focus
        return self._now() - self._active_at < WATCH_SECONDS

    def changed(self, change: Change) -> None:
        """Take in a change of the model."""
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
        """Let ring now what is gathered, and wait until that is done."""
        while self._timer is not None or self._task is not None:
            if self._timer is not None:
                self._timer.cancel()
                self._flush()
            if self._task is not None:
                # To await a task that is done would not let its callback run.
                await asyncio.wait([self._task])

    async def close(self) -> None:
        """Let nothing ring any more."""
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
        if self._pending and self._timer is None and self._task is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._gather_seconds, self._flush)

    def _flush(self) -> None:
        self._timer = None
        self._task = asyncio.get_running_loop().create_task(self._ring_fresh())
        self._task.add_done_callback(self._flushed)

    def _flushed(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and self._model.is_synced:
            self._schedule()

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
            # Better twice than never.
            fresh = {(entry.chat, entry.seq) for entry in entries}
        entries = [entry for entry in entries if (entry.chat, entry.seq) in fresh]
        if entries:
            self._ring(make_alert(entries))

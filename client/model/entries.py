"""The values that the model holds: entries, outbox items, transfers and gaps.

Immutable, without I/O: they may be kept, and passed to another thread.
"""

from pathlib import Path
from typing import Literal

from msgspec import Struct

from chatd.protocol.entries import MESSAGE_KINDS
from chatd.protocol.messages import FileInfo, Message, Request, Send

ItemState = Literal["waiting", "sent", "refused"]
TransferState = Literal["waiting", "checking", "moving", "done", "failed", "cancelled"]


class Entry(Struct, frozen=True, kw_only=True, gc=False):
    """One item of a chat's log, in its present state.

    Attributes:
        sender: Canonical name of the user who wrote or caused it.
        time_ms: The server's wall clock; for display only, order is ``seq`` alone.
        kind: text, action, file, or an event: create, join, leave, topic …; later
            servers may send kinds that are not known here.
        text: "" where there is none.
        target: For edit, delete, reaction: the seq that it changes.
        rev: The seq of the last event that changed it, 0 if none.
        key: Of the user's own entries, where the server repeated it.
        file: Of kind file: what can be downloaded; ``text`` is its caption then.
    """

    chat: str
    seq: int
    prev: int
    sender: str
    time_ms: int
    kind: str
    text: str = ""
    reply_to: int | None = None
    by: str | None = None
    topic: str | None = None
    visibility: str | None = None
    key: str | None = None
    edited_ms: int | None = None
    is_deleted: bool = False
    target: int | None = None
    rev: int = 0
    file: FileInfo | None = None

    @property
    def is_message(self) -> bool:
        """Whether it is a message (text, action, file): only these can be unread."""
        return self.kind in MESSAGE_KINDS


def entry_from_message(message: Message, chat: str = "") -> Entry:
    """Return the entry that a push, or an item of a page, describes.

    Args:
        message: As it came from the server.
        chat: The chat, where the message itself does not name it.
    """
    return Entry(
        chat=message.chat or chat,
        seq=message.seq,
        prev=message.prev,
        sender=message.from_,
        time_ms=message.time,
        kind=message.kind,
        text=message.text or "",
        reply_to=message.reply_to,
        by=message.by,
        topic=message.topic,
        visibility=message.visibility,
        key=message.key,
        edited_ms=message.edited,
        is_deleted=message.deleted,
        target=message.target,
        rev=message.rev or 0,
        file=message.file,
    )


class OutboxItem(Struct, frozen=True, kw_only=True, gc=False):
    """A request of the user on its way to the server: a message, or another change.

    Attributes:
        id: Identifies the item on this device, for retry and discard.
        chat: The address of the chat that it is about: within one, order is kept.
        key: Makes sending it again idempotent.
        request: What is sent, with the key in it.
        state: ``waiting`` until the server answers, then ``sent`` or ``refused``.
        created_ms: This device's wall clock, for display.
        seq: Its seq in the chat, once sent.
        time_ms: The server's time, once sent.
        code: Why it was refused, for programs.
        reason: Why it was refused, or why it is still waiting, for people.
    """

    id: int
    chat: str
    key: str
    request: Request
    created_ms: int = 0
    state: ItemState = "waiting"
    seq: int | None = None
    time_ms: int | None = None
    code: str | None = None
    reason: str | None = None

    @property
    def message(self) -> Send | None:
        """The message, if it is one."""
        return self.request if isinstance(self.request, Send) else None

    @property
    def text(self) -> str:
        """The message's text; of another request, what it is."""
        message = self.message
        return message.text if message else f"/{self.request.__struct_config__.tag}"

    @property
    def kind(self) -> Literal["text", "action"]:
        """The message's kind."""
        return self.message.kind if self.message else "text"

    @property
    def reply_to(self) -> int | None:
        """The seq of the message that it answers, if it is a message that does."""
        return self.message.reply_to if self.message else None


class Transfer(Struct, frozen=True, kw_only=True, gc=False):
    """An upload or download, as it is now.

    Attributes:
        id: Identifies it on this device, for cancelling.
        direction: As this device sees it.
        state: ``waiting`` for the link, the server or its turn; ``checking`` while a
            file is read to know its SHA-256, or a stream is copied; ``moving`` while
            its bytes are; then for good ``done``, ``failed`` or ``cancelled``.
        chat: The chat that the file is sent to, or was sent to.
        name: The file's name, made harmless.
        size: In bytes; of a stream that is copied, so far.
        moved: How many bytes have been transferred (in ``checking``: read).
        rate: Bytes per second lately, 0 where nothing moves.
        path: What is sent (None for a stream), or where it is saved: for good once it
            is ``done``, as the name may be taken until then.
        seq: Of the file's entry, where it is known.
        code: Why it failed, for programs.
        reason: Why it failed, or why it waits, for people.
    """

    id: int
    direction: Literal["up", "down"]
    state: TransferState
    chat: str
    name: str
    size: int
    moved: int = 0
    rate: float = 0.0
    path: Path | None = None
    seq: int | None = None
    code: str | None = None
    reason: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether its state is final."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def seconds_left(self) -> float | None:
        """How long it will take at the present rate, in seconds; None if not known."""
        return (self.size - self.moved) / self.rate if self.rate > 0 else None


class Gap(Struct, frozen=True, gc=False):
    """Entries of a chat that exist, or may exist, but are not held.

    Their seqs are above ``after`` and below ``before``; both bounds are exclusive.
    """

    chat: str
    after: int
    before: int

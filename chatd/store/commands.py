"""The commands: every write to a store, as a value with all that it needs in it.

Times, random ids, canonical names, caps and cut-offs are members of a command, so that
applying it reads nothing but the state and the command: the same commands, in the same
order, give the same outcomes and the same state, however they are cut into batches and
transactions, and on any machine.

A command is carried out by ``Store.execute``; an entry is appended by ``Store.append``
or, without waiting, by ``append_nowait``. On its way a command is a job, see ``jobs``.
"""

from typing import Generic, TypeVar

from msgspec import Struct

from chatd.protocol.entries import Draft, Entry
from chatd.store.values import Change, ChatInfo, FileRecord, Visibility

T = TypeVar("T")


class Command(Struct, Generic[T], frozen=True, gc=False, array_like=True, tag=True):
    """A write that has the outcome ``T``, or a ChatError and then wrote nothing."""


class AppendEntry(Struct, frozen=True, gc=False, array_like=True, tag=True):
    """Append an entry to a chat's log, and apply the change that it records.

    It is the command of a ``jobs.Append``. Each takes a seq, also one that is
    refused or a duplicate.
    """

    chat: int
    draft: Draft
    change: Change | None = None


class FindKey(Command[Entry | None], frozen=True):
    """Find the entry that the sender's key stands for in the chat.

    It is a command, and no read, because its place in the order matters: whatever was
    appended before is found.
    """

    chat: int
    sender: str
    key: str


class OpenDirect(Command[ChatInfo], frozen=True):
    """Return the direct chat of two users (or one), created if there was none.

    A direct chat without entries is not listed for its users yet: ``chats_of`` leaves
    it out.
    """

    one: str
    other: str


class CreateRoom(Command[ChatInfo], frozen=True):
    """Create a room with one member, its owner, and one entry.

    Raises:
        NameTakenError: There is a room of that name.
        TooManyError: The owner is in ``max_rooms`` rooms.
    """

    name: str
    visibility: Visibility
    topic: str
    owner: str
    draft: Draft
    max_rooms: int | None = None


class Invite(Command[bool], frozen=True):
    """Store an invitation; False if there was one already.

    Raises:
        TooManyError: The user has ``cap`` invitations already.
    """

    chat: int
    user: str
    by: str
    cap: int


class Uninvite(Command[bool], frozen=True):
    """Remove an invitation; the outcome is whether there was one."""

    chat: int
    user: str


class MoveCursors(Command[None], frozen=True):
    """Move cursors, given as (chat, user, seq), forward."""

    cursors: list[tuple[int, str, int]]


class BeginFile(Command[FileRecord], frozen=True):
    """Store a begun upload; if its chat, owner and key have one, return that.

    Raises:
        TooManyError: The owner has ``cap`` unfinished uploads.
    """

    file: FileRecord
    cap: int


class DropFile(Command[bool], frozen=True):
    """Delete a begun upload's record; False if there is none, or it is stored."""

    file: str


class ExpireFiles(Command[list[FileRecord]], frozen=True):
    """Delete and return the records of at most ``limit`` expired files.

    Those are uploads begun, and files stored, before the given times, oldest first.
    """

    begun_before_ms: int
    stored_before_ms: int
    limit: int


class CreateRecord(Command[bool], frozen=True):
    """Create a record; False if there is one: of several callers, one wins."""

    kind: str
    key: str
    value: bytes


class ReplaceRecord(Command[bool], frozen=True):
    """Change a record from ``old`` to ``new`` (None: delete it).

    The outcome is False if it was not ``old`` any more, and nothing was changed.
    """

    kind: str
    key: str
    old: bytes
    new: bytes | None


class ForgetUser(Command[None], frozen=True):
    """Remove a deleted user's memberships, invitations and begun uploads.

    Entries and stored files stay.
    """

    user: str


AnyCommand = (
    AppendEntry
    | FindKey
    | OpenDirect
    | CreateRoom
    | Invite
    | Uninvite
    | MoveCursors
    | BeginFile
    | DropFile
    | ExpireFiles
    | CreateRecord
    | ReplaceRecord
    | ForgetUser
)

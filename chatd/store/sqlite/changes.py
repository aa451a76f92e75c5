"""Changes to chats, memberships and records; they run inside a write transaction.

A change that is not possible raises before it writes anything, so that the rest of the
commit can go on.
"""

import sqlite3

from chatd.protocol.errors import (
    NameTakenError,
    NoSuchRoomError,
    NotAMemberError,
    TooManyError,
)
from chatd.store.commands import (
    CreateRecord,
    CreateRoom,
    ForgetUser,
    Invite,
    MoveCursors,
    OpenDirect,
    ReplaceRecord,
    Uninvite,
)
from chatd.store.sqlite import files
from chatd.store.values import (
    AddMember,
    Change,
    ChatInfo,
    RemoveMember,
    SealFile,
    SetTopic,
)


def apply_change(
    connection: sqlite3.Connection, chat: int, seq: int, time_ms: int, change: Change
) -> dict[str, object]:
    """Apply the change that the entry at ``seq`` records.

    Returns:
        What else the entry has to say, decided here.

    Raises:
        ChatError: It is not possible, see its class.
    """
    match change:
        case AddMember():
            return _add_member(connection, chat, seq, change)
        case RemoveMember():
            removed = connection.execute(
                "DELETE FROM members WHERE chat = ? AND user = ?", (chat, change.user)
            )
            if removed.rowcount == 0:
                raise NotAMemberError("you are not a member of that room")
        case SetTopic():
            connection.execute(
                "UPDATE chats SET topic = ? WHERE id = ?", (change.topic, chat)
            )
        case SealFile():
            files.seal(connection, chat, seq, time_ms, change.file)
    return {}


def _add_member(
    connection: sqlite3.Connection, chat: int, seq: int, change: AddMember
) -> dict[str, object]:
    row = connection.execute(
        "SELECT c.visibility, c.name, (SELECT 1 FROM members WHERE chat = ?1 LIMIT 1),"
        " (SELECT 1 FROM members WHERE chat = ?1 AND user = ?2),"
        " (SELECT 1 FROM invitations WHERE user = ?2 AND chat = ?1)"
        " FROM chats c WHERE c.id = ?1",
        (chat, change.user),
    ).fetchone()
    if row is None:
        raise NoSuchRoomError("there is no such room")
    visibility, name, is_held, is_member, is_invited = row
    if is_member:
        raise NameTakenError("the user is a member of that room already")
    if change.is_asking and visibility == "private" and not is_invited:
        raise NoSuchRoomError(f"there is no room #{name}")
    _check_room_count(connection, change.user, change.max_rooms)
    role = change.role or ("member" if is_held else "owner")
    first = seq if visibility == "private" else 1
    connection.execute(
        "INSERT INTO members (chat, user, role, first, read) VALUES (?, ?, ?, ?, ?)",
        (chat, change.user, role, first, seq),
    )
    uninvite(connection, Uninvite(chat, change.user))
    return {"role": role} if role == "owner" and change.role is None else {}


def _check_room_count(
    connection: sqlite3.Connection, user: str, max_rooms: int | None
) -> None:
    """Check that a user may be in one more room.

    Raises:
        TooManyError: The user is in ``max_rooms`` rooms.
    """
    if max_rooms is None:
        return
    rooms = connection.execute(
        "SELECT count(*) FROM members m JOIN chats c ON c.id = m.chat"
        " WHERE m.user = ? AND c.kind = 'room'",
        (user,),
    ).fetchone()[0]
    if rooms >= max_rooms:
        raise TooManyError(f"you are in {rooms} rooms; leave one before")


def find_chat(connection: sqlite3.Connection, chat: int) -> ChatInfo | None:
    """Return a chat by its id."""
    row = connection.execute(
        "SELECT id, kind, name, visibility, topic FROM chats WHERE id = ?", (chat,)
    ).fetchone()
    return ChatInfo(*row) if row else None


def insert_room(connection: sqlite3.Connection, command: CreateRoom) -> ChatInfo:
    """Insert a room, without its member and entry."""
    name, visibility, topic = command.name, command.visibility, command.topic
    _check_room_count(connection, command.owner, command.max_rooms)
    made = connection.execute(
        "INSERT INTO chats (kind, name, visibility, topic) VALUES ('room', ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (name, visibility, topic),
    ).fetchone()
    if made is None:
        raise NameTakenError(f"there is a room #{name} already")
    return ChatInfo(made[0], "room", name, visibility, topic)


def open_direct(connection: sqlite3.Connection, command: OpenDirect) -> ChatInfo:
    """Apply the command."""
    low, high = sorted((command.one, command.other))
    name = f"{low} {high}"
    row = connection.execute(
        "SELECT id FROM chats WHERE kind = 'direct' AND name = ?", (name,)
    ).fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO chats (kind, name, visibility, topic)"
            " VALUES ('direct', ?, 'private', '') RETURNING id",
            (name,),
        ).fetchone()
        for user in sorted({low, high}):
            connection.execute(
                "INSERT INTO members (chat, user, role, first, read)"
                " VALUES (?, ?, 'member', 1, 0)",
                (row[0], user),
            )
    return ChatInfo(row[0], "direct", name, "private")


def invite(connection: sqlite3.Connection, command: Invite) -> str | None:
    """Store an invitation; return the room's name, None if there was one."""
    chat, user = command.chat, command.user
    held, is_invited, room = connection.execute(
        "SELECT count(*), max(chat = ?1), (SELECT name FROM chats WHERE id = ?1)"
        " FROM invitations WHERE user = ?2",
        (chat, user),
    ).fetchone()
    if is_invited:
        return None
    if room is None:
        raise NoSuchRoomError("there is no such room")
    if held >= command.cap:
        raise TooManyError(f"{user} has too many invitations already")
    connection.execute(
        "INSERT INTO invitations (user, chat, by) VALUES (?, ?, ?)",
        (user, chat, command.by),
    )
    name: str = room
    return name


def uninvite(connection: sqlite3.Connection, command: Uninvite) -> bool:
    """Apply the command."""
    removed = connection.execute(
        "DELETE FROM invitations WHERE user = ? AND chat = ?",
        (command.user, command.chat),
    )
    return removed.rowcount > 0


def move_cursors(connection: sqlite3.Connection, command: MoveCursors) -> None:
    """Apply the command."""
    connection.executemany(
        "UPDATE members SET read = ?3 WHERE chat = ?1 AND user = ?2 AND read < ?3",
        command.cursors,
    )


def create_record(connection: sqlite3.Connection, command: CreateRecord) -> bool:
    """Apply the command."""
    created = connection.execute(
        "INSERT INTO records (kind, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (command.kind, command.key, command.value),
    )
    return created.rowcount > 0


def replace_record(connection: sqlite3.Connection, command: ReplaceRecord) -> bool:
    """Apply the command."""
    where = (command.kind, command.key, command.old)
    if command.new is None:
        replaced = connection.execute(
            "DELETE FROM records WHERE kind = ? AND key = ? AND value = ?", where
        )
    else:
        replaced = connection.execute(
            "UPDATE records SET value = ? WHERE kind = ? AND key = ? AND value = ?",
            (command.new, *where),
        )
    return replaced.rowcount > 0


def forget_user(connection: sqlite3.Connection, command: ForgetUser) -> None:
    """Apply the command."""
    user = (command.user,)
    connection.execute("DELETE FROM members WHERE user = ?", user)
    connection.execute("DELETE FROM invitations WHERE user = ?", user)
    connection.execute("DELETE FROM files WHERE owner = ? AND seq = 0", user)

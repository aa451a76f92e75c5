"""Changes to chats and memberships; they run inside a write transaction.

A change that is not possible raises before it writes anything, so that the rest of the
commit can go on.
"""

import sqlite3

from chatd.protocol.errors import NameTakenError, NotAMemberError, TooManyError
from chatd.store.sqlite import files
from chatd.store.values import (
    AddMember,
    Change,
    ChatInfo,
    RemoveMember,
    SealFile,
    SetTopic,
    Visibility,
)


def apply_change(
    connection: sqlite3.Connection, chat: int, seq: int, time_ms: int, change: Change
) -> dict[str, object]:
    """Apply the change that the entry at ``seq`` records.

    Returns:
        What else the entry has to say, decided here.

    Raises:
        NameTakenError: The user is a member already.
        NotAMemberError: The user is not a member.
        NotAllowedError: The upload is not there any more.
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
        "SELECT visibility FROM chats WHERE id = ?", (chat,)
    ).fetchone()
    first = seq if row is not None and row[0] == "private" else 1
    role = change.role
    if role is None:
        held = "SELECT 1 FROM members WHERE chat = ? LIMIT 1"
        is_empty = connection.execute(held, (chat,)).fetchone() is None
        role = "owner" if is_empty else "member"
    added = connection.execute(
        "INSERT INTO members (chat, user, role, first, read) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (chat, change.user, role, first, seq),
    )
    if added.rowcount == 0:
        raise NameTakenError("the user is a member of that room already")
    connection.execute(
        "DELETE FROM invitations WHERE user = ? AND chat = ?", (change.user, chat)
    )
    return {"role": role} if role == "owner" and change.role is None else {}


def insert_room(
    connection: sqlite3.Connection, name: str, visibility: Visibility, topic: str
) -> ChatInfo:
    """Insert a room.

    Raises:
        NameTakenError: There is a room of that name.
    """
    made = connection.execute(
        "INSERT INTO chats (kind, name, visibility, topic) VALUES ('room', ?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (name, visibility, topic),
    ).fetchone()
    if made is None:
        raise NameTakenError(f"there is a room #{name} already")
    return ChatInfo(made[0], "room", name, visibility, topic)


def open_direct(connection: sqlite3.Connection, one: str, other: str) -> ChatInfo:
    """Return the direct chat of two users, created if there was none."""
    low, high = sorted((one, other))
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
        for user in {low, high}:
            connection.execute(
                "INSERT INTO members (chat, user, role, first, read)"
                " VALUES (?, ?, 'member', 1, 0)",
                (row[0], user),
            )
    return ChatInfo(row[0], "direct", name, "private")


def insert_invitation(
    connection: sqlite3.Connection, chat: int, user: str, by: str, cap: int
) -> bool:
    """Store an invitation; False if there was one.

    Raises:
        TooManyError: The user has ``cap`` invitations.
    """
    held = connection.execute(
        "SELECT count(*), max(chat = ?) FROM invitations WHERE user = ?", (chat, user)
    ).fetchone()
    if held[1]:
        return False
    if held[0] >= cap:
        raise TooManyError(f"{user} has too many invitations already")
    connection.execute(
        "INSERT INTO invitations (user, chat, by) VALUES (?, ?, ?)", (user, chat, by)
    )
    return True


def write_cursors(
    connection: sqlite3.Connection, cursors: list[tuple[int, str, int]]
) -> None:
    """Move cursors, given as (chat, user, seq), forward."""
    connection.executemany(
        "UPDATE members SET read = ?3 WHERE chat = ?1 AND user = ?2 AND read < ?3",
        cursors,
    )

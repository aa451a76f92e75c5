"""The machine: applies commands to a database, inside the writer's transaction.

It reads nothing but the database and the commands. What it keeps in memory is a cache:
without it, the outcomes are the same.
"""

import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

from chatd.protocol.entries import Entry
from chatd.protocol.errors import ChatError
from chatd.store.commands import (
    BeginFile,
    Command,
    CreateRecord,
    CreateRoom,
    DropFile,
    ExpireFiles,
    FindKey,
    ForgetUser,
    Invite,
    MoveCursors,
    OpenDirect,
    ReplaceRecord,
    Uninvite,
)
from chatd.store.jobs import Append, Call, Job
from chatd.store.sqlite import changes, files
from chatd.store.sqlite.log import LogWriter, find_key
from chatd.store.values import AddMember, ChatInfo, Effect, Invited


class Machine:
    """Applies commands; runs in the thread that has the connection.

    Args:
        connection: The one that writes. Its owner begins and commits.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self._log = LogWriter(connection)
        self._effects: list[Effect] = []

    def forget(self) -> None:
        """Drop what is cached, after a transaction that failed."""
        self._log.forget()
        self._effects = []

    def apply(self, batch: Iterable[Job]) -> list[Effect]:
        """Apply commands in their order, set their outcomes, and return the effects.

        A ChatError is an outcome. After any other exception the caller rolls back, and
        calls ``forget``.
        """
        add = self._log.add
        for job in batch:
            if isinstance(job, Append):
                add(job)
            else:
                self._run(job)
        effects = self._effects + self._log.write()
        self._effects = []
        return effects

    def _run(self, job: Call) -> None:
        command = job.command
        try:
            job.result = APPLY[type(command)](self, command)
        except ChatError as error:
            job.error = error

    def find_key(self, command: FindKey) -> Entry | None:
        """Apply the command."""
        self._effects += self._log.write()
        return find_key(self.connection, command.chat, command.sender, command.key)

    def create_room(self, command: CreateRoom) -> ChatInfo:
        """Apply the command."""
        room = changes.insert_room(self.connection, command)
        owner = AddMember(command.owner, "owner")
        self._log.add(Append(room.id, command.draft, lambda _: None, owner))
        return room

    def invite(self, command: Invite) -> bool:
        """Apply the command."""
        room = changes.invite(self.connection, command)
        if room is not None:
            self._effects.append(Invited(room, command.user, command.by))
        return room is not None


def _of_state(
    function: Callable[[sqlite3.Connection, Any], Any],
) -> Callable[[Machine, Any], Any]:
    return lambda machine, command: function(machine.connection, command)


# How each command is applied. One that cannot be raises ChatError before it writes.
APPLY: dict[type[Command[Any]], Callable[[Machine, Any], Any]] = {
    FindKey: Machine.find_key,
    OpenDirect: _of_state(changes.open_direct),
    CreateRoom: Machine.create_room,
    Invite: Machine.invite,
    Uninvite: _of_state(changes.uninvite),
    MoveCursors: _of_state(changes.move_cursors),
    BeginFile: _of_state(files.begin),
    DropFile: _of_state(files.drop),
    ExpireFiles: _of_state(files.expire),
    CreateRecord: _of_state(changes.create_record),
    ReplaceRecord: _of_state(changes.replace_record),
    ForgetUser: _of_state(changes.forget_user),
}

"""The machine: the same commands lead to the same outcomes and the same state."""

import random
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatd.protocol.entries import Draft, encode_tail, encode_text
from chatd.protocol.errors import ChatError
from chatd.store.commands import (
    AnyCommand,
    AppendEntry,
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
from chatd.store.jobs import Append, Call, Job, decode_batch, encode_batch
from chatd.store.sqlite.database import connect
from chatd.store.sqlite.machine import APPLY, Machine
from chatd.store.sqlite.migrations import prepare
from chatd.store.values import (
    AddMember,
    Change,
    ChatInfo,
    Committed,
    Effect,
    FileRecord,
    Invited,
    RemoveMember,
    SealFile,
    SetTopic,
)
from tests.service.logical_dump import dump

USERS = ["alice", "bob", "eve"]
chats = st.integers(1, 5)
users = st.sampled_from(USERS)
names = st.sampled_from(["ops", "lab", "den"])
keys = st.one_of(
    st.none(),
    st.integers(0, 30).map(lambda n: f"q2w3e4r5t6y7u8i9-{n}"),
    st.sampled_from(["a", "b", "short-1", "short-2"]),
)
times = st.integers(1, 50)


def _file(chat: int, owner: str, key: str, time_ms: int) -> FileRecord:
    # Ids are random: no two uploads ever have the same one.
    return FileRecord(
        id=f"{chat}-{owner}-{key}",
        chat=chat,
        owner=owner,
        key=key,
        name="log",
        size=7 + chat,
        sha256="00" if key == "a" else "11",
        time_ms=time_ms,
    )


records = st.builds(_file, chats, users, st.sampled_from(["a", "b"]), times)
file_ids = records.map(lambda file: file.id)


def _draft(sender: str, kind: str, time_ms: int, words: str, key: str | None) -> Draft:
    if kind == "text":
        return Draft(
            sender, kind, time_ms, encode_text(sender, "text", time_ms, words), key
        )
    tail = encode_tail(sender, kind, time_ms, {})  # type: ignore[arg-type]
    return Draft(sender, kind, time_ms, tail, key)


drafts = st.builds(
    _draft,
    users,
    st.just("text"),
    times,
    st.sampled_from(["x", "y", "z" * 9_000]),
    keys,
)
changes: st.SearchStrategy[Change] = st.one_of(
    st.builds(
        AddMember,
        users,
        st.sampled_from([None, "member"]),
        st.booleans(),
        st.sampled_from([None, 1, 2]),
    ),
    st.builds(RemoveMember, users),
    st.builds(SetTopic, st.sampled_from(["", "news"])),
    st.builds(SealFile, file_ids),
)
moves = st.builds(_draft, users, st.just("join"), times, st.just(""), keys)
values = st.sampled_from([b"1", b"2"])
others: st.SearchStrategy[Command[Any]] = st.one_of(
    st.builds(FindKey, chats, users, keys.filter(bool)),
    st.builds(OpenDirect, users, users),
    st.builds(
        CreateRoom,
        names,
        st.sampled_from(["public", "private"]),
        st.just("news"),
        users,
        st.builds(_draft, users, st.just("create"), times, st.just(""), st.none()),
        st.sampled_from([None, 2]),
    ),
    st.builds(Invite, chats, users, users, st.integers(1, 2)),
    st.builds(Uninvite, chats, users),
    st.builds(
        MoveCursors,
        st.lists(st.tuples(chats, users, st.integers(0, 40)), max_size=3),
    ),
    st.builds(BeginFile, records, st.integers(0, 3)),
    st.builds(DropFile, file_ids),
    st.builds(ExpireFiles, times, times, st.integers(0, 3)),
    st.builds(CreateRecord, st.just("token"), users, values),
    st.builds(ReplaceRecord, st.just("token"), users, values, st.none() | values),
    st.builds(ForgetUser, users),
)
appends = st.builds(AppendEntry, chats, drafts) | st.builds(
    AppendEntry, chats, moves, changes
)
# The chats are there: nothing else is ever appended to.
CHATS: list[Command[Any]] = [
    OpenDirect("alice", "bob"),
    OpenDirect("eve", "eve"),
    *(
        CreateRoom(name, "private", "", "alice", _draft("alice", "create", 1, "", None))
        for name in ("one", "two", "three")
    ),
]
bursts = st.lists(appends, min_size=1, max_size=12)
lists = st.lists(bursts | others.map(lambda command: [command]), max_size=40).map(
    lambda parts: CHATS + [command for part in parts for command in part]
)


class World:
    """A machine with a database of its own, which can be disturbed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outcomes: list[object] = []
        self.effects: list[Effect] = []
        self.connection = connect(path)
        prepare(self.connection, path)
        self.machine = Machine(self.connection)

    def restart(self) -> None:
        """Close the database and open it again."""
        self.connection.close()
        self.connection = connect(self.path)
        self.machine = Machine(self.connection)

    def apply(self, batches: list[bytes], *, fails: bool = False) -> None:
        """Apply batches in one transaction; with ``fails``, it is rolled back."""
        self.connection.execute("BEGIN IMMEDIATE")
        outcomes: list[object] = []
        effects: list[Effect] = []
        for batch in batches:
            jobs = decode_batch(batch)
            effects += self.machine.apply(jobs)
            outcomes += map(_outcome, jobs)
        if fails:
            self.connection.execute("ROLLBACK")
            self.machine.forget()
            return
        self.connection.execute("COMMIT")
        self.outcomes += outcomes
        self.effects += effects


def _outcome(job: Job) -> object:
    if job.error is not None:
        return job.error.code, job.error.reason
    if isinstance(job, Append):
        return job.seq, job.time_ms, job.duplicate
    return job.result


def _encoded(commands: list[Any]) -> bytes:
    jobs: list[Job] = [
        Append(command.chat, command.draft, lambda _: None, command.change)
        if isinstance(command, AppendEntry)
        else Call(command)
        for command in commands
    ]
    return encode_batch(jobs)


def _told(effects: list[Effect]) -> tuple[object, object, object]:
    """Return what effects say, whatever commits they came in."""
    entries: dict[int, list[object]] = {}
    for part in effects:
        if isinstance(part, Committed):
            entries.setdefault(part.chat, []).extend(part.entries)
    gained = {
        part.info.id
        for part in effects
        if isinstance(part, Committed) and part.info is not None
    }
    return entries, gained, [part for part in effects if isinstance(part, Invited)]


def compare(commands: list[Any], seed: int, folder: Path) -> None:
    """Apply commands one by one, and disturbed in many ways; compare."""
    plain, disturbed = World(folder / "plain.db"), World(folder / "disturbed.db")
    for command in commands:
        plain.apply([_encoded([command])])
    dice = random.Random(seed)
    rest = list(commands)
    while rest:
        batches = []
        for _ in range(dice.choice([1, 1, 2, 5])):
            size = dice.choice([1, 2, 7, 40])
            batches.append(_encoded(rest[:size]))
            rest = rest[size:]
        if dice.random() < 0.2:
            disturbed.apply(batches, fails=True)
        disturbed.apply(batches)
        if dice.random() < 0.2:
            disturbed.machine.forget()
        if dice.random() < 0.2:
            disturbed.restart()
    try:
        assert disturbed.outcomes == plain.outcomes
        assert _told(disturbed.effects) == _told(plain.effects)
        assert dump(disturbed.connection) == dump(plain.connection)
    finally:
        plain.connection.close()
        disturbed.connection.close()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(lists, st.integers(0, 1 << 30))
def test_batches_restarts_and_failures_change_neither_outcomes_nor_state(
    commands: list[Any], seed: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        compare(commands, seed, Path(folder))


def test_seqs_go_on_after_a_restart_where_the_last_command_was_refused(
    tmp_path: Path,
) -> None:
    """No row tells that its seq was taken."""
    text = _draft("alice", "text", 1, "x", "a")
    commands: list[Any] = [OpenDirect("alice", "bob"), AppendEntry(1, text)]
    again = [AppendEntry(1, text)] * 3
    other = AppendEntry(1, _draft("alice", "text", 2, "y", None))
    world = World(tmp_path / "chatd.db")
    world.apply([_encoded(commands), _encoded(again)])
    world.restart()
    world.apply([_encoded([other])])
    world.connection.close()
    assert world.outcomes[-5:] == [(1, 1, False), *[(1, 1, True)] * 3, (5, 2, False)]


def test_what_was_rolled_back_is_not_remembered(tmp_path: Path) -> None:
    stream = "q2w3e4r5t6y7u8i9"
    sends = [
        AppendEntry(1, _draft("alice", "text", 1, "x", f"{stream}-{n}"))
        for n in range(4)
    ]
    world = World(tmp_path / "chatd.db")
    world.apply([_encoded([OpenDirect("alice", "bob"), *sends[:1]])])
    world.restart()
    world.apply([_encoded(sends[1:3])], fails=True)
    # Only a duplicate: no row tells that a seq was taken.
    world.apply([_encoded(sends[:1])])
    world.restart()
    world.apply([_encoded(sends[1:3])], fails=True)
    world.apply([_encoded(sends[2:])])
    world.restart()
    world.apply([_encoded(sends[2:])])
    world.connection.close()
    assert world.outcomes[1:] == [
        (1, 1, False),
        (1, 1, True),
        (3, 1, False),
        (4, 1, False),
        (3, 1, True),
        (4, 1, True),
    ]


def test_a_stream_that_was_rolled_back_is_not_remembered(tmp_path: Path) -> None:
    sends = [
        AppendEntry(1, _draft("alice", "text", 1, "x", f"q2w3e4r5t6y7u8i9-{n}"))
        for n in range(2)
    ]
    world = World(tmp_path / "chatd.db")
    world.apply([_encoded([OpenDirect("alice", "bob")])])
    world.apply([_encoded(sends[:1])], fails=True)
    world.apply([_encoded(sends[1:])])
    world.restart()
    world.apply([_encoded(sends[1:])])
    world.connection.close()
    assert world.outcomes[1:] == [(1, 1, False), (1, 1, True)]


def test_every_command_can_be_applied_and_sent() -> None:
    sent = {kind for kind in AnyCommand.__args__ if kind is not AppendEntry}
    assert sent == set(APPLY)


def test_what_is_no_batch_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_batch(msgspec.msgpack.encode([["NoCommand", 1]]))


# A new kind of command ----------------------------------------------------------------


class CloseRoom(Command[ChatInfo], frozen=True):
    """A toy: make a room private."""

    room: str


def test_a_new_command_is_one_line_in_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def close(machine: Machine, command: CloseRoom) -> ChatInfo:
        row = machine.connection.execute(
            "UPDATE chats SET visibility = 'private' WHERE kind = 'room' AND name = ?"
            " RETURNING id, kind, name, visibility, topic",
            (command.room,),
        ).fetchone()
        if row is None:
            raise ChatError("there is no such room")
        return ChatInfo(*row)

    monkeypatch.setitem(cast("dict[Any, Any]", APPLY), CloseRoom, close)
    connection = connect(tmp_path / "chatd.db")
    prepare(connection, tmp_path / "chatd.db")
    event = _draft("alice", "create", 1, "", None)
    closed, missing = Call(CloseRoom("ops")), Call(CloseRoom("lab"))
    Machine(connection).apply(
        [Call(CreateRoom("ops", "public", "", "alice", event)), closed, missing]
    )
    connection.close()
    assert closed.result.visibility == "private"
    assert isinstance(missing.error, ChatError)


def test_a_fault_that_is_no_refusal_leaves_nothing(tmp_path: Path) -> None:
    world = World(tmp_path / "chatd.db")
    world.connection.execute("DROP TABLE records")
    draft = _draft("alice", "text", 1, "x", None)
    commands = [
        OpenDirect("alice", "bob"),
        AppendEntry(1, draft),
        CreateRecord("token", "k", b"1"),
    ]
    with pytest.raises(sqlite3.OperationalError):
        world.apply([_encoded(commands)])
    world.connection.execute("ROLLBACK")
    world.machine.forget()
    world.apply([_encoded(commands[:2])])
    assert world.outcomes[-1] == (1, 1, False)
    world.connection.close()

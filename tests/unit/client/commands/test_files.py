"""The /commands about files: which file is meant, what begins, and what is shown."""

from pathlib import Path

import pytest

from chatd.protocol.messages import FileItem, Files, FilesPage
from tests.fakes.link import (
    Stage,
    info,
    item,
    message,
    room,
    transfer,
)
from tests.unit.client.commands.test_commands import type_in


@pytest.fixture
def ops(stage: Stage) -> Stage:
    """In #ops, with #lab and a chat with bob beside it."""
    stage.fake.log_in(room(), room("#lab"), room("@bob", role=None))
    stage.workspace.current = "#ops"
    return stage


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file in it."""
    (tmp_path / "my notes.txt").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(*items: FileItem, more: bool = False) -> FilesPage:
    return FilesPage(chat="#ops", files=list(items), more=more)


def begun(stage: Stage) -> list[tuple[str, str, int | None]]:
    """Return chat, name and seq of the transfers."""
    return [(each.chat, each.name, each.seq) for each in stage.fake.transfers.items]


async def test_send_takes_a_path_and_perhaps_a_chat(ops: Stage, here: Path) -> None:
    await type_in(ops, "/send my notes.txt")
    await type_in(ops, "/send 'my notes.txt' @bob")
    assert begun(ops) == [
        ("#ops", "my notes.txt", None),
        ("@bob", "my notes.txt", None),
    ]
    assert ops.fake.transfers.items[0].path == here / "my notes.txt"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("/send", "say which file"),
        ("/send nothing.txt", "there is no file nothing.txt"),
        ("/send .", "is a folder"),
        ("/send my notes.txt #", "room name"),
    ],
)
@pytest.mark.usefixtures("here")
async def test_what_cannot_be_sent_is_said(ops: Stage, typed: str, said: str) -> None:
    assert said in await type_in(ops, typed)
    assert begun(ops) == []


async def test_files_lists_the_newest_first_with_what_to_do(ops: Stage) -> None:
    two_hours_ago = ops.workspace.now_ms - 7_200_000
    ops.fake.replies = [page(item(118, time=two_hours_ago), item(7, "a.txt", "alice"))]
    assert (await type_in(ops, "/files")).split("\n") == [
        "-- files in #ops, the newest first:",
        "   118  core.tar     734 MB  bob    2 hours ago",
        "     7  a.txt        734 MB  alice  just now",
        "-- /get and a number, or a name, fetches one",
    ]
    assert ops.fake.requests == [Files(chat="#ops", limit=50)]


async def test_files_more_goes_on_where_the_list_ended(ops: Stage) -> None:
    ops.fake.replies = [page(item(9), item(8), more=True), page(item(3))]
    assert "/files more lists older ones" in await type_in(ops, "/files #lab")
    assert "further back" in await type_in(ops, "/files more")
    assert ops.fake.requests[1] == Files(chat="#lab", before=8, limit=50)
    assert "there are no more files" in await type_in(ops, "/files more")


async def test_a_chat_without_files_says_so(ops: Stage) -> None:
    ops.fake.replies = [page()]
    assert "no files in #ops: /send PATH" in await type_in(ops, "/files")


def send_files(stage: Stage, *names: str) -> None:
    """Let files arrive in #ops: the last sent by alice, the others by bob."""
    for seq, name in enumerate(names, 10):
        sender = "alice" if seq == 9 + len(names) else "bob"
        stage.fake.take(message("", seq, sender, kind="file", file=info(name)))


async def test_get_alone_fetches_the_newest_that_others_have_sent(ops: Stage) -> None:
    send_files(ops, "old.tar", "new.tar", "own.tar")
    await type_in(ops, "/get")
    assert begun(ops) == [("#ops", "new.tar", 11)]
    assert ops.fake.transfers.targets == [(None, None)]


async def test_get_alone_in_notes_to_oneself_fetches_ones_own(ops: Stage) -> None:
    ops.fake.take(
        message("", 5, "alice", chat="@alice", kind="file", file=info("a.txt"))
    )
    ops.workspace.current = "@alice"
    await type_in(ops, "/get")
    assert begun(ops) == [("@alice", "a.txt", 5)]


@pytest.mark.parametrize("what", ["10", "a b.tar", "'a b.tar'", '"a b.tar"'])
async def test_get_takes_a_number_or_a_name(ops: Stage, what: str) -> None:
    send_files(ops, "a b.tar", "c.tar")
    await type_in(ops, f"/get {what}")
    assert begun(ops) == [("#ops", "a b.tar", 10)]


@pytest.mark.parametrize("what", ["10", "a b.tar", "'a b.tar'"])
async def test_get_takes_a_folder_or_a_new_name(
    ops: Stage, here: Path, what: str
) -> None:
    send_files(ops, "a b.tar", "c.tar")
    (here / "my folder").mkdir()
    await type_in(ops, f"/get {what} my folder")
    await type_in(ops, f"/get {what} my folder/new name.tar")
    folder = here / "my folder"
    assert ops.fake.transfers.targets == [
        (folder, None),
        (None, folder / "new name.tar"),
    ]


async def test_get_never_replaces_a_file(ops: Stage, here: Path) -> None:
    send_files(ops, "a.tar", "b.tar")
    said = await type_in(ops, f"/get 10 {here}/my notes.txt")
    assert "is there already" in " ".join(said.split())
    assert begun(ops) == []


async def test_of_several_of_one_name_the_newest_is_fetched(ops: Stage) -> None:
    send_files(ops, "a.tar", "a.tar", "b.tar")
    await type_in(ops, "/get a.tar")
    assert begun(ops) == [("#ops", "a.tar", 11)]


async def test_what_is_not_here_is_asked_of_the_server(ops: Stage) -> None:
    ops.fake.replies = [
        page(item(3)),
        page(item(5, "x"), more=True),
        page(item(4, "y")),
    ]
    await type_in(ops, "/get 3")
    await type_in(ops, "/get y")
    assert begun(ops) == [("#ops", "core.tar", 3), ("#ops", "y", 4)]
    assert ops.fake.requests == [
        Files(chat="#ops", before=4, limit=1),
        Files(chat="#ops", limit=200),
        Files(chat="#ops", before=5, limit=200),
    ]


async def test_a_number_that_is_no_file_is_not_another_file(ops: Stage) -> None:
    ops.fake.replies = [page(item(2)), page(item(2))]
    assert "there is no file 3 in #ops" in await type_in(ops, "/get 3")
    assert begun(ops) == []


async def test_a_number_is_that_of_the_list_even_of_another_chat(ops: Stage) -> None:
    send_files(ops, "a.tar", "b.tar")
    ops.fake.replies = [page(item(10, "listed.tar"))]
    await type_in(ops, "/files #lab")
    await type_in(ops, "/get 10")
    assert begun(ops) == [("#lab", "listed.tar", 10)]
    await type_in(ops, "/switch #ops")
    await type_in(ops, "/get 10")
    assert begun(ops)[1] == ("#ops", "a.tar", 10)


async def test_a_file_that_was_shown_in_another_chat_is_found(ops: Stage) -> None:
    ops.fake.take(message("", 40, chat="#lab", kind="file", file=info("x.tar")))
    await type_in(ops, "/get 40")
    assert begun(ops) == [("#lab", "x.tar", 40)]


async def test_what_was_deleted_is_not_fetched(ops: Stage) -> None:
    ops.fake.take(message("", 10, kind="file", file=info(), deleted=True))
    ops.fake.replies = [page()]
    assert "nobody else has sent a file" in await type_in(ops, "/get")


async def test_transfers_lists_what_is_under_way_and_what_was(ops: Stage) -> None:
    assert "no files are under way" in await type_in(ops, "/transfers")
    for name in ("a.tar", "b.tar"):
        ops.fake.transfers.add(transfer(name, moved=73_400_320, rate=1e7))
    ops.fake.transfers.move(100, state="done")
    assert (await type_in(ops, "/transfers")).split("\n") == [
        "  1. a.tar was sent to #ops",
        "  2. b.tar to #ops  10 % of 734 MB, 10 MB/s, 1 min left",
        "-- /cancel and a number ends one of those under way",
    ]


async def test_cancel_takes_the_number_of_the_list(ops: Stage) -> None:
    for name in ("a.tar", "b.tar", "c.tar"):
        ops.fake.transfers.add(transfer(name))
    ops.fake.transfers.move(100, state="done")
    assert "2 files are under way" in await type_in(ops, "/cancel")
    assert "nothing under way is 1" in await type_in(ops, "/cancel 1")
    await type_in(ops, "/cancel 2")
    assert [each.state for each in ops.fake.transfers.items] == [
        "done",
        "cancelled",
        "moving",
    ]
    await type_in(ops, "/cancel")
    assert "no files are under way" in await type_in(ops, "/cancel all")


async def test_cancel_takes_a_name_or_all(ops: Stage) -> None:
    for name in ("a.tar", "b.tar", "c.tar"):
        ops.fake.transfers.add(transfer(name))
    await type_in(ops, "/cancel b.tar")
    assert [each.state for each in ops.fake.transfers.items][1] == "cancelled"
    await type_in(ops, "/cancel all")
    assert all(each.is_over for each in ops.fake.transfers.items)

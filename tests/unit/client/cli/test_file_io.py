"""Sending and fetching files in scripts (client.cli.file_io), without a network."""

import asyncio
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from chatd.protocol.messages import FilesPage
from client.cli import file_io
from client.cli.chat_io import Printer
from client.cli.file_io import Source
from client.commands.file_list import NoSuchFileError
from client.commands.local_paths import Target
from client.errors import NotConnectedError, TransferError
from client.link.link import Link
from client.model.changes import Change, TransferChanged
from tests.fakes.link import FakeLink, item


class Line:
    """A link on which every transfer ends in the same way."""

    def __init__(self, **end: object) -> None:
        self.fake = FakeLink()
        self.link = cast(Link, self.fake)
        self._end = end
        self.has_begun = asyncio.Event()
        self.fake.on_change = self._changed

    def _changed(self, change: Change) -> None:
        assert isinstance(change, TransferChanged)
        self.has_begun.set()
        if self._end and not change.transfer.is_over:
            loop = asyncio.get_running_loop()
            move: Callable[..., object] = self.fake.transfers.move
            loop.call_soon(lambda: move(change.transfer.id, **self._end))

    @property
    def states(self) -> list[tuple[str, str]]:
        return [(each.name, each.state) for each in self.fake.transfers.items]


A, B = Source(path=Path("/x/a.tar")), Source(path=Path("/x/b.tar"))


async def test_files_are_sent_one_after_the_other_and_the_first_has_the_caption() -> (
    None
):
    line = Line(state="done")
    await file_io.send_files(line.link, "#ops", [A, B], "look")
    assert line.states == [("a.tar", "done"), ("b.tar", "done")]
    assert line.fake.transfers.captions == ["look", ""]


async def test_a_stream_is_sent_under_the_name_given() -> None:
    line = Line(state="done")
    source = Source(stream=io.BytesIO(b"dump"), name="db.sql")
    await file_io.send_files(line.link, "#ops", [source])
    assert line.states == [("db.sql", "done")]


async def test_after_a_refusal_no_more_is_sent() -> None:
    line = Line(state="failed", reason="you are muted")
    with pytest.raises(TransferError, match=r"a\.tar was not sent .*: you are muted"):
        await file_io.send_files(line.link, "#ops", [A, B])
    assert line.states == [("a.tar", "failed")]


async def test_what_takes_too_long_is_cancelled() -> None:
    line = Line()
    with pytest.raises(TimeoutError, match=r"not sent within 0\.01 s"):
        await file_io.send_files(line.link, "#ops", [A, B], "", 0.01)
    assert line.states == [("a.tar", "cancelled")]


async def test_what_is_interrupted_is_cancelled() -> None:
    line = Line()
    sending = asyncio.create_task(file_io.send_files(line.link, "#ops", [A]))
    await line.has_begun.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert line.states == [("a.tar", "cancelled")]


@pytest.mark.parametrize(
    ("wanted", "seq"), [(None, 8), ("own.tar", 9), ("7", 7), ("old.tar", 7)]
)
async def test_a_file_is_got_by_number_or_name_or_else_the_newest_of_others(
    wanted: str | None, seq: int
) -> None:
    line = Line(state="done", path=Path("/d/x"))
    listed = [item(9, "own.tar", "alice"), item(8, "new.tar"), item(7, "old.tar")]
    if wanted == "7":
        listed = listed[2:]
    line.fake.replies = [FilesPage(chat="#ops", files=listed, more=False)]
    path = await file_io.get_file(line.link, "#ops", wanted, Target())
    assert path == Path("/d/x")
    assert line.fake.transfers.items[0].seq == seq


async def test_a_connection_that_breaks_while_looking_for_a_file_does_not_matter() -> (
    None
):
    line = Line(state="done", path=Path("/d/x"))
    page = FilesPage(chat="#ops", files=[item(8)], more=False)
    line.fake.replies = [NotConnectedError("gone"), page]
    await file_io.get_file(line.link, "#ops", None, Target())
    assert line.states == [("core.tar", "done")]


async def test_a_file_that_is_not_there_is_said_so() -> None:
    line = Line()
    line.fake.replies = [FilesPage(chat="#ops", files=[], more=False)]
    with pytest.raises(NoSuchFileError, match=r"no file core\.tar in #ops"):
        await file_io.get_file(line.link, "#ops", "core.tar", Target())


async def test_files_are_listed_for_people_and_for_programs() -> None:
    line = Line()
    listed = [item(118, text="look\x1b"), item(7, "a\x1b.txt", "alice")]
    for is_json in (False, True):
        out = io.StringIO()
        line.fake.replies = [FilesPage(chat="#ops", files=listed, more=False)]
        printer = Printer(out, is_json=is_json)
        await file_io.list_files(line.link, "#ops", printer)
        rows = out.getvalue().splitlines()
        if is_json:
            assert [json.loads(row)["file"]["name"] for row in rows] == [
                "core.tar",
                "a\x1b.txt",
            ]
            assert json.loads(rows[0])["text"] == "look\x1b"
        else:
            assert rows == [
                "118  core.tar     734 MB  bob    2026-11-21 12:00",
                "  7  a␛.txt       734 MB  alice  2026-11-21 12:00",
            ]


def test_a_pipe_is_a_stream_and_a_file_is_not(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").touch()
    assert file_io.is_stream(tmp_path / "pipe")
    assert not file_io.is_stream(tmp_path / "file")
    assert not file_io.is_stream(tmp_path / "nothing")

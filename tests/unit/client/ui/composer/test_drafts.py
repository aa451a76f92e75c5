"""Drafts and input history on disk: written soon, private, shared by processes."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from client.storage.json_file import JsonFile
from client.ui.composer.drafts import MAX_DRAFT, MAX_DRAFTS, Drafts
from client.ui.composer.input_history import (
    MAX_CHARACTERS,
    MAX_CHATS,
    MAX_TEXTS,
    InputHistory,
)
from tests.helpers import eventually


def never(text: str) -> None:
    raise AssertionError(text)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drafts" / "alice.json"


def on_disk(path: Path) -> dict[str, Any]:
    """Return the contents of the file, by chat; nothing if there is none."""
    if not path.exists():
        return {}
    found: dict[str, Any] = msgspec.json.decode(path.read_bytes())["chats"]
    return found


def modes(path: Path) -> list[int]:
    return [each.stat().st_mode & 0o777 for each in (path, path.parent)]


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads of the writes, one for each."""
    threads: list[threading.Thread] = []
    change = JsonFile.change

    def spy(self: JsonFile[msgspec.Struct], edit: Callable[..., None]) -> None:
        threads.append(threading.current_thread())
        change(self, edit)

    monkeypatch.setattr(JsonFile, "change", spy)
    return threads


async def test_changes_are_gathered_and_written_by_another_thread(
    path: Path, writes: list[threading.Thread]
) -> None:
    drafts = Drafts(path, never, delay=0.02)
    for size in range(1, 100):
        drafts.put("#ops", "x" * size)
    drafts.put("@bob", "hi")
    assert on_disk(path) == {}
    await eventually(lambda: bool(on_disk(path)), "the file")
    assert on_disk(path) == {"#ops": "x" * 99, "@bob": "hi"}
    assert len(writes) == 1
    assert writes[0] is not threading.main_thread()
    drafts.close()
    assert len(writes) == 1


async def test_the_end_of_the_program_writes_at_once(path: Path) -> None:
    drafts = Drafts(path, never)
    drafts.put("#ops", "half")
    drafts.close()
    assert on_disk(path) == {"#ops": "half"}
    assert modes(path) == [0o600, 0o700]
    assert Drafts(path, never).get("#ops") == "half"


async def test_nothing_is_written_where_nothing_changed(path: Path) -> None:
    drafts = Drafts(path, never)
    drafts.put("#ops", "")
    drafts.put("#ops", "  \n")
    drafts.close()
    assert on_disk(path) == {}


async def test_a_draft_that_is_emptied_is_gone(path: Path) -> None:
    drafts = Drafts(path, never)
    drafts.put("#ops", "half")
    drafts.put("#ops", "")
    drafts.put("@bob", "hi")
    drafts.close()
    assert on_disk(path) == {"@bob": "hi"}


async def test_two_programs_do_not_undo_each_others_drafts(path: Path) -> None:
    one, other = Drafts(path, never), Drafts(path, never)
    one.put("#ops", "from one")
    other.put("@bob", "from the other")
    one.close()
    other.close()
    assert on_disk(path) == {"#ops": "from one", "@bob": "from the other"}


@pytest.fixture
def damaged(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text("{nonsense")
    return path


async def test_a_damaged_file_is_told_and_left_as_it_is(damaged: Path) -> None:
    said: list[str] = []
    drafts = Drafts(damaged, said.append)
    drafts.put("#ops", "half")
    assert drafts.get("#ops") == "half"
    drafts.close()
    assert len(said) == 1
    assert "damaged" in said[0]
    with pytest.raises(msgspec.DecodeError):
        on_disk(damaged)


async def test_a_disk_that_is_full_is_told_once_and_tried_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    drafts = Drafts(path, said.append, delay=0)
    change = JsonFile.change
    tries = 0

    def fail(self: JsonFile[msgspec.Struct], edit: Callable[..., None]) -> None:
        nonlocal tries
        tries += 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(JsonFile, "change", fail)
    drafts.put("#ops", "half")
    await eventually(lambda: tries == 1 and bool(said), "the first try")
    drafts.put("@bob", "hi")
    await eventually(lambda: tries == 2, "the second try")
    monkeypatch.setattr(JsonFile, "change", change)
    drafts.put("@bob", "hi there")
    await eventually(lambda: bool(on_disk(path)), "the third try")
    drafts.close()
    assert on_disk(path) == {"#ops": "half", "@bob": "hi there"}
    assert said == ["drafts cannot be kept: [Errno 28] No space left on device"]


async def test_what_is_being_written_at_the_end_is_not_lost(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, may_go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()
    change = JsonFile.change

    def slow(self: JsonFile[msgspec.Struct], edit: Callable[..., None]) -> None:
        loop.call_soon_threadsafe(has_begun.set)
        may_go_on.wait(10)
        change(self, edit)

    monkeypatch.setattr(JsonFile, "change", slow)
    typed = InputHistory(path, never, delay=0)
    typed.open("#ops")
    typed.add("one")
    await has_begun.wait()
    typed.add("two")
    may_go_on.set()
    typed.close()
    assert on_disk(path) == {"#ops": ["one", "two"]}


async def test_bytes_that_are_no_text_do_not_spoil_the_other_drafts(path: Path) -> None:
    drafts = Drafts(path, never)
    drafts.put("#ops", "caf\udce9")
    drafts.put("@bob", "hi")
    drafts.close()
    assert on_disk(path) == {"#ops": "caf�", "@bob": "hi"}


async def test_drafts_are_bounded_on_the_disk(path: Path) -> None:
    drafts = Drafts(path, never)
    for number in range(MAX_DRAFTS + 1):
        drafts.put(f"#room{number}", "half")
    drafts.put("@huge", "x" * (MAX_DRAFT + 1))
    drafts.close()
    found = on_disk(path)
    assert len(found) == MAX_DRAFTS
    assert "#room0" not in found
    assert "@huge" not in found


# Input history ------------------------------------------------------------------------


def typed_texts(typed: InputHistory) -> list[str]:
    texts = []
    text = typed.back("")
    while text is not None:
        texts.append(text)
        text = typed.back(text)
    return texts


async def test_what_was_typed_comes_back_the_newest_first(path: Path) -> None:
    typed = InputHistory(path, never)
    typed.open("#ops")
    for text in ("one", "two", "two", "three\nlines"):
        typed.add(text)
    typed.close()
    typed = InputHistory(path, never)
    typed.open("#ops")
    assert typed_texts(typed) == ["three\nlines", "two", "one"]
    typed.open("@bob")
    assert typed_texts(typed) == []


async def test_what_is_changed_on_the_way_stays_until_something_is_entered() -> None:
    typed = InputHistory(None, never)
    typed.add("one")
    typed.add("two")
    assert typed.back("unsent") == "two"
    assert typed.back("two changed") == "one"
    assert typed.back("one") is None
    assert typed.forward("one") == "two changed"
    assert typed.forward("two changed") == "unsent"
    assert typed.forward("unsent") is None
    typed.add("three")
    assert typed_texts(typed) == ["three", "unsent", "two", "one"]


async def test_what_was_being_written_is_kept_when_something_older_is_sent(
    path: Path,
) -> None:
    typed = InputHistory(path, never)
    typed.open("#ops")
    typed.add("one")
    assert typed.back("half a thought") == "one"
    typed.add("one")
    typed.open("@bob")
    typed.close()
    assert on_disk(path) == {"#ops": ["one", "half a thought", "one"]}


async def test_what_was_typed_is_bounded(path: Path) -> None:
    typed = InputHistory(path, never)
    for chat in range(MAX_CHATS + 1):
        typed.open(f"#room{chat}")
        typed.add("hi")
    for number in range(MAX_TEXTS + 1):
        typed.add(f"text {number}")
    assert len(typed_texts(typed)) == MAX_TEXTS
    typed.add("x" * (MAX_CHARACTERS - 10))
    assert typed_texts(typed) == ["x" * (MAX_CHARACTERS - 10), f"text {MAX_TEXTS}"]
    typed.add("x" * (MAX_CHARACTERS + 10))
    assert len(typed_texts(typed)) == 1
    typed.close()
    found = on_disk(path)
    assert len(found) == MAX_CHATS
    assert "#room0" not in found


async def test_what_two_programs_typed_is_kept_of_both(path: Path) -> None:
    one, other = InputHistory(path, never), InputHistory(path, never)
    for typed, text in ((one, "from one"), (other, "from the other")):
        typed.open("#ops")
        typed.add(text)
        typed.close()
    typed = InputHistory(path, never)
    typed.open("#ops")
    assert typed_texts(typed) == ["from the other", "from one"]

"""Completion of commands, names and paths, from the same table that dispatches."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatd.protocol.messages import Presence, PresenceOf
from client.commands import Candidates, complete, files, make_registry, slow_folders
from client.commands.slow_folders import MAX_WAITING, look
from tests import PATIENCE
from tests.fakes.link import Stage, info, message, room


@pytest.fixture
def full(stage: Stage) -> Stage:
    stage.fake.log_in(room("#ops"), room("#operators"), room("@bob", role=None))
    users = {name: PresenceOf(status="online") for name in ("anna", "annette")}
    stage.fake.take(Presence(users=users, more=False))
    stage.workspace.current = "#ops"
    stage.workspace.listed = ["#public"]
    return stage


def offered(stage: Stage, before: str) -> Candidates:
    return complete(stage.workspace, make_registry(), before)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("/hi", ("/history",)),
        ("/re", ("/read", "/reconnect", "/retry")),
        ("/help to", ("topic",)),
        ("/leave #o", ("#operators", "#ops")),
        ("/leave op", ("#operators", "#ops")),
        ("/join ", ("#public",)),
        ("/msg @an", ("@anna", "@annette")),
        ("/whois an", ("anna", "annette")),
        ("/invite bob #o", ("#operators", "#ops")),
        ("/status a", ("away",)),
        ("/create #war p", ("private", "public")),
        ("/READ al", ("all",)),
        ("/cancel ", ("all",)),
        ("look at #op", ("#operators", "#ops")),
        ("ask @bo", ("@bob",)),
        ("ann", ("anna", "annette")),
        ("thanks, BO", ("bob",)),
        ("", ()),
        ("hello ", ()),
        ("/nonsense b", ()),
        ("//etc/b", ()),
    ],
)
def test_tab_offers_what_fits(full: Stage, before: str, words: tuple[str, ...]) -> None:
    assert offered(full, before).words == words


def test_a_name_at_the_beginning_addresses_that_person(full: Stage) -> None:
    assert offered(full, "bo").suffix == ": "
    assert offered(full, "hi bo").suffix == " "


def test_the_common_beginning_is_known(full: Stage) -> None:
    assert offered(full, "@an").common == "@ann"
    assert Candidates().common == ""


def test_at_most_fifty_are_offered(full: Stage) -> None:
    users = {f"user{n}": PresenceOf(status="online") for n in range(500)}
    full.fake.take(Presence(users=users, more=False))
    assert len(offered(full, "@user").words) == 50


# Files --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files, which is the current one and that of ``~``."""
    for name in ("notes.txt", "north pole.txt", ".hidden", "bad\nname"):
        (tmp_path / name).touch()
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a b.pdf").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("typed", "words", "suffix"),
    [
        ("no", ("north pole.txt", "notes.txt"), " "),
        ("north po", ("north pole.txt",), " "),
        ("'north po", ("north pole.txt",), "' "),
        ("d", ("docs/",), ""),
        ("docs/", ("a b.pdf",), " "),
        ("~/do", ("docs/",), ""),
        ("~", ("~/",), ""),
        ("", ("docs/", "north pole.txt", "notes.txt"), " "),
        (".h", (".hidden",), " "),
        ("bad", (), " "),
        ("nowhere/x", (), " "),
        ("notes.txt #", ("#operators", "#ops"), " "),
        ("notes.txt @b", ("@bob",), " "),
        ("nothing.txt @b", (), " "),
    ],
)
@pytest.mark.usefixtures("folder")
def test_tab_completes_what_is_to_be_sent(
    full: Stage, typed: str, words: tuple[str, ...], suffix: str
) -> None:
    found = offered(full, f"/send {typed}")
    assert (found.words, found.suffix) == (words, suffix)


@pytest.mark.usefixtures("folder")
def test_only_the_last_part_of_a_path_is_replaced(full: Stage) -> None:
    assert offered(full, "/send docs/a").length == 1
    assert offered(full, "/send north po").length == len("north po")


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", ("Crash report.pdf", "core.tar")),
        ("cra", ("Crash report.pdf",)),
        ("Crash re", ("Crash report.pdf",)),
        ("core.tar do", ("docs/",)),
        ("Crash report.pdf docs/", ("a b.pdf",)),
        ("118 do", ("docs/",)),
        ("nothing do", ()),
    ],
)
@pytest.mark.usefixtures("folder")
def test_tab_completes_what_is_to_be_got_and_where_to(
    full: Stage, typed: str, words: tuple[str, ...]
) -> None:
    for seq, name in enumerate(("core.tar", "Crash report.pdf", "core.tar"), 1):
        full.fake.take(message("", seq, kind="file", file=info(name)))
    assert offered(full, f"/get {typed}").words == words


# Slow folders -------------------------------------------------------------------------


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A folder that does not answer until the event is set."""
    answers = threading.Event()

    def names_in(folder: Path, prefix: str) -> list[str]:
        answers.wait(PATIENCE)
        return ["late.txt"]

    monkeypatch.setattr("client.commands.completion.names_in", names_in)
    monkeypatch.setattr(slow_folders, "PATIENCE_SECONDS", 0.0)
    yield answers
    answers.set()
    # No thread that still reads a folder is left to the next test.
    assert all(
        slow_folders._places.acquire(timeout=PATIENCE) for _ in range(MAX_WAITING)
    )
    slow_folders._places.release(MAX_WAITING)


def test_a_folder_that_does_not_answer_offers_nothing(
    full: Stage, gone: threading.Event
) -> None:
    assert offered(full, "/send /far/away/la").words == ()
    assert offered(full, "/get 118 /far/away/la").words == ()


def test_a_few_folders_that_do_not_answer_are_enough(gone: threading.Event) -> None:
    waiting = [look(lambda: gone.wait(PATIENCE), False) for _ in range(MAX_WAITING)]
    assert look(lambda: True, False).result() is False
    gone.set()
    assert all(each.result(PATIENCE) for each in waiting)


def test_whoever_looks_is_told_what_went_wrong() -> None:
    with pytest.raises(ZeroDivisionError):
        look(lambda: 1 // 0, 0).result(PATIENCE)


def test_what_names_of_files_cost_does_not_grow_with_the_history(
    full: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seq in range(1, 8):
        file = info(f"{seq}.tar")
        full.fake.take(message("", seq, kind="file", file=file, chat="#operators"))
    monkeypatch.setattr(files, "MAX_LOOKED_AT", 3)
    assert offered(full, "/get ").words == ("5.tar", "6.tar", "7.tar")

"""What Tab offers: from the same table that dispatches."""

from pathlib import Path

import pytest

from chatd.protocol.messages import Presence, PresenceOf
from client.commands import Candidates, complete, make_registry
from tests.unit.client_face.fakes import Stage, info, message, room


@pytest.fixture
def full(stage: Stage) -> Stage:
    stage.fake.log_in(room("#ops"), room("#operators"), room("@bob", role=None))
    users = {name: PresenceOf(status="online") for name in ("anna", "annette")}
    stage.fake.take(Presence(users=users, more=False))
    stage.ws.current = "#ops"
    stage.ws.listed = ["#public"]
    return stage


def offered(stage: Stage, before: str) -> Candidates:
    return complete(stage.ws, make_registry(), before)


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
    """A folder with files, which is the present one and that of ``~``."""
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

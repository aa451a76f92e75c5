"""Completion in the composer: what is offered while typing and by Tab, and its cost."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from chatd.protocol.messages import (
    FileInfo,
    FileItem,
    Invited,
    Left,
    MemberInfo,
    Presence,
    PresenceOf,
)
from client.commands import make_registry
from client.commands.workspace import FilesListed
from client.ui.composer import emoji
from client.ui.composer.completion import ChatCompleter, Offers, SlowOffers, path_offers
from client.ui.composer.name_index import NameIndex
from client.ui.composer.prefix_index import PrefixIndex
from tests.fakes.link import Stage, message, room


@pytest.fixture(autouse=True)
def _emoji() -> None:
    emoji.load()


class CompletionStage(Stage):
    """A workspace in #ops, and its completer."""

    def __init__(self) -> None:
        super().__init__()
        self.known = NameIndex(self.workspace)
        self.fake.on_change = self.known.changed
        self.completer = ChatCompleter(self.workspace, make_registry(), self.known)
        self.fake.log_in(
            room("#ops"), room("#operators"), room("@bob", role=None), room("@carol")
        )
        self.online("anna", "annette", "zoe")
        self.open("#ops")

    def open(self, address: str) -> None:
        self.workspace.current = address
        self.known.open(address)

    def online(self, *names: str) -> None:
        users = {name: PresenceOf(status="online") for name in names}
        self.fake.take(Presence(users=users, more=False))

    def find(self, before: str, after: str = "", is_asked: bool = True) -> Offers:
        found = self.completer.find(Document(before + after, len(before)), is_asked)
        return found.find() if isinstance(found, SlowOffers) else found

    def words(self, before: str, is_asked: bool = True) -> list[str]:
        return [offer.text for offer in self.find(before, is_asked=is_asked)]

    def result(self, before: str, after: str = "", is_asked: bool = True) -> str:
        """Return the text after the first offer was accepted."""
        offer = self.find(before, after, is_asked)[0]
        return before[: len(before) + offer.start_position] + offer.text + after


@pytest.fixture
def shelf() -> CompletionStage:
    return CompletionStage()


# Offers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ("/hi", ["/history "]),
        ("/re", ["/read ", "/reconnect ", "/retry "]),
        ("/help to", ["topic "]),
        ("/leave #o", ["#operators ", "#ops "]),
        ("/leave op", ["#operators ", "#ops "]),
        ("/msg @an", ["@anna ", "@annette "]),
        ("/msg op", ["#operators ", "#ops "]),
        ("/whois an", ["anna ", "annette "]),
        ("/whois @an", ["@anna ", "@annette "]),
        ("/invite bob #o", ["#operators ", "#ops "]),
        ("/msg @bob ask ann", ["anna ", "annette "]),
        ("/status ", ["online ", "away ", "busy "]),
        ("/status a", ["away "]),
        ("/create #war p", ["private ", "public "]),
        ("/create #war private an", []),
        ("/read al", ["all "]),
        ("/files m", ["more "]),
        ("/retry ", ["all "]),
        ("/discard a", ["all "]),
        ("/cancel a", ["all "]),
        ("look at #op", ["#operators ", "#ops "]),
        ("ask @BO", ["@bob "]),
        ("ask (@bo", ["@bob "]),
        ("ann", ["anna: ", "annette: "]),
        ("hi ann", ["anna ", "annette "]),
        ("two\nlines ann", ["anna ", "annette "]),
        ("well :tad", [":tada: "]),
        ("", []),
        ("hello ", []),
        ("/nonsense b", []),
        ("//etc/b", []),
        ("mail bob@an", []),
        ("http://an", []),
        ("std::string::an", []),
        ("x" * 200, []),
    ],
)
def test_tab_offers_what_fits(
    shelf: CompletionStage, before: str, words: list[str]
) -> None:
    assert shelf.words(before) == words


@pytest.mark.parametrize("before", ["/he", "@an", "hi @an", "#op", ":tad", "/msg @bo"])
def test_words_with_a_sign_are_offered_as_they_are_typed(
    shelf: CompletionStage, before: str
) -> None:
    assert shelf.words(before, is_asked=False) == shelf.words(before) != []


@pytest.mark.parametrize("before", ["/status b", "/create #war p", "/files mo"])
def test_words_of_commands_are_offered_as_they_are_typed(
    shelf: CompletionStage, before: str
) -> None:
    assert len(shelf.words(before, is_asked=False)) > 0


@pytest.mark.parametrize("before", ["an", "/msg bo", ":t", "/help to", "``` @an"])
def test_other_words_are_offered_only_when_asked(
    shelf: CompletionStage, before: str
) -> None:
    assert shelf.words(before) != []
    assert shelf.words(before, is_asked=False) == []


def test_a_completion_replaces_only_its_own_word(shelf: CompletionStage) -> None:
    assert shelf.result("ask (@bo") == "ask (@bob "
    assert shelf.result("/msg op") == "/msg #operators "
    assert shelf.result("hi @bo", " there") == "hi @bob there"
    assert shelf.result("hi @bo", "\nthere") == "hi @bob \nthere"


def test_a_command_says_what_it_does(shelf: CompletionStage) -> None:
    offer = shelf.find("/hist")[0]
    assert offer.display_meta_text == "show what was written here before"


def test_who_wrote_here_last_goes_before_others_here_and_those_before_everybody(
    shelf: CompletionStage,
) -> None:
    shelf.online("abel", "adam", "aida", "alice")
    shelf.fake.model.set_members(
        "#ops",
        [MemberInfo(user=name, role="member", status="online") for name in ("adam",)],
    )
    shelf.open("#ops")
    shelf.fake.take(message("hi", 1, "zoe"))
    shelf.fake.take(message("hi", 2, "aida"))
    assert shelf.words("@a")[:3] == ["@aida ", "@adam ", "@abel "]
    assert shelf.words("@")[:2] == ["@aida ", "@zoe "]


def test_nobody_is_offered_their_own_name(shelf: CompletionStage) -> None:
    assert "@alice " not in shelf.words("@al")


def test_at_most_fifty_are_offered(shelf: CompletionStage) -> None:
    shelf.online(*(f"user{n}" for n in range(500)))
    assert len(shelf.words("@user")) == 50
    assert len(shelf.words("@")) == 50
    assert len(shelf.words(":e")) == 50


def test_names_are_shown_harmless(shelf: CompletionStage) -> None:
    shelf.online("evil\x1b]0;x\x07")
    assert shelf.find("@evil")[0].display_text == "@evil␛]0;x␇"


def test_the_completer_serves_prompt_toolkit_too(shelf: CompletionStage) -> None:
    event = CompleteEvent(completion_requested=True)
    found = shelf.completer.get_completions(Document("/send /"), event)
    assert list(found)


# Changes ------------------------------------------------------------------------------


def test_rooms_come_and_go(shelf: CompletionStage) -> None:
    shelf.fake.take(Invited(room="#opera", by="bob"))
    assert shelf.words("/join #op") == ["#opera "]
    assert shelf.words("#op") == ["#opera ", "#operators ", "#ops "]
    shelf.fake.take(Left(chat="#operators", code="left"))
    assert shelf.words("#op") == ["#opera ", "#ops "]
    shelf.workspace.listed = ["#open", "#ops"]
    assert shelf.words("/join #op") == ["#open ", "#opera "]
    shelf.workspace.listed = []
    assert shelf.words("#op") == ["#opera ", "#ops "]


def test_people_stay_known_while_offline(shelf: CompletionStage) -> None:
    for change in shelf.fake.model.go_offline():
        shelf.known.changed(change)
    assert shelf.words("@ann") == ["@anna ", "@annette "]


def test_members_that_left_are_not_first_any_more(shelf: CompletionStage) -> None:
    def members(*names: str) -> None:
        infos = [MemberInfo(user=n, role="member", status="online") for n in names]
        for change in shelf.fake.model.set_members("#ops", infos):
            shelf.known.changed(change)

    members("adam", "zack")
    assert shelf.words("@")[:2] == ["@adam ", "@zack "]
    members("zack")
    assert shelf.words("@")[0] == "@zack "


# Files --------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "reports").mkdir()
    (tmp_path / "read me.txt").touch()
    (tmp_path / ".hidden").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_paths_are_offered_when_asked_and_not_on_the_loop(
    shelf: CompletionStage, folder: Path
) -> None:
    document = Document("/send re")
    assert isinstance(shelf.completer.find(document, True), SlowOffers)
    assert shelf.completer.find(document, False) == []
    assert shelf.words("/send re") == ["read me.txt ", "reports/"]
    assert shelf.words("/send ") == ["read me.txt ", "reports/"]
    assert shelf.words("/send .h") == [".hidden "]
    assert shelf.result(f"/send {folder}/read m") == f"/send {folder}/read me.txt "
    assert shelf.result('/send "read m') == '/send "read me.txt" '


def test_a_home_folder_can_be_completed() -> None:
    assert [offer.text for offer in path_offers("~")] == ["~/"]
    assert path_offers("/there/is/no/such/folder/") == []


def test_behind_a_path_stands_a_chat(shelf: CompletionStage, folder: Path) -> None:
    assert shelf.words("/send read me.txt @bo", is_asked=False) == ["@bob "]
    assert shelf.words("/send read me.txt #op") == ["#operators ", "#ops "]


def test_files_that_are_known_can_be_fetched_by_name(
    shelf: CompletionStage, folder: Path
) -> None:
    info = FileInfo(id="f1", name="big core.tar", size=1, sha256="")
    shelf.fake.take(message("", 9, kind="file", file=info))
    other = FileInfo(id="f2", name="bill.pdf", size=1, sha256="")
    item = FileItem(seq=3, from_="bob", time=0, file=other)
    shelf.workspace.files_listed = FilesListed(chat="#ops", items=[item], is_more=False)
    assert shelf.words("/get bi") == ["bill.pdf ", "big core.tar "]
    assert shelf.words("/get bi", is_asked=False) == []
    assert shelf.result("/get big core.tar rep") == "/get big core.tar reports/"
    assert shelf.result("/get 9 rep") == "/get 9 reports/"
    assert shelf.words("/get what rep") == []


# What it costs ------------------------------------------------------------------------


class CountedNames(list[str]):
    """Counts how many names are read."""

    looked_at = 0

    def __getitem__(self, index: Any) -> Any:
        self.looked_at += 1
        return super().__getitem__(index)

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all names are looked at")


@pytest.mark.parametrize("count", [1_000, 100_000])
def test_looking_up_a_beginning_does_not_look_at_all_names(count: int) -> None:
    index = PrefixIndex(f"user{n}" for n in range(count))
    names = index._sorted = CountedNames(index._sorted)
    assert len(index.matches("user9", 50)) == 50
    assert names.looked_at <= 20 + 52


def test_an_index_has_each_name_once_and_in_order() -> None:
    index = PrefixIndex(["b", "a", "b"])
    index.update(["c", "a", "ab"])
    index.update(f"n{n}" for n in range(40))
    index.remove("nobody")
    index.replace({"a", "ab", "c", *(f"n{n}" for n in range(40))})
    assert index.matches("", 3) == ["a", "ab", "c"]
    assert "b" not in index
    assert len(index) == 43
    index.replace({"x"})
    assert index.matches("", 9) == ["x"]


def calls_of(shelf: CompletionStage, before: str) -> int:
    """Count the calls, of Python and of C, that a key leads to."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    document = Document(before)
    sys.setprofile(count)
    try:
        shelf.completer.find(document, is_asked=False)
    finally:
        sys.setprofile(None)
    return calls


class Untouched(dict[str, Any]):
    """A sequence that must not be iterated over."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("all are looked at")

    def keys(self) -> Any:
        return iter(self)

    def items(self) -> Any:
        return iter(self)

    def values(self) -> Any:
        return iter(self)


def crowd(count: int) -> CompletionStage:
    shelf = CompletionStage()
    names = [f"user{n:05}" for n in range(count)]
    shelf.online(*names)
    infos = [MemberInfo(user=n, role="member", status="online") for n in names]
    for change in shelf.fake.model.set_members("#ops", infos):
        shelf.known.changed(change)
    shelf.workspace.listed = [f"#room{n:05}" for n in range(count)]
    shelf.words("#room")
    shelf.fake.model.presence = Untouched(shelf.fake.model.presence)
    chats = shelf.fake.model.chats
    chats["#ops"].members = Untouched(chats["#ops"].members or {})
    shelf.fake.model.chats = Untouched(chats)
    return shelf


@pytest.mark.parametrize("typed", ["@", "@user00", "@nobody", "hi", "/m", "#room00"])
def test_the_work_of_a_key_does_not_grow_with_the_number_of_names(typed: str) -> None:
    few, many = crowd(200), crowd(20_000)
    assert calls_of(many, typed) <= calls_of(few, typed) + 10


def test_who_comes_online_is_added_without_a_look_at_the_others() -> None:
    shelf = crowd(5_000)
    everyone = shelf.known._everyone
    everyone._sorted = CountedNames(everyone._sorted)
    shelf.fake.model.presence = {}
    shelf.online("newcomer")
    assert everyone._sorted.looked_at <= 20
    assert shelf.words("@newc") == ["@newcomer "]

"""The notifier: which messages notify, once each, and not while they are visible."""

import asyncio
from pathlib import Path

import pytest

from chatd.protocol.messages import ReadPush, Synced
from client.config.config_file import (
    ClientConfig,
    GeneralConfig,
    NotifyConfig,
    Rule,
)
from client.notify.notifier import (
    WATCH_SECONDS,
    Alert,
    Notified,
    Notifier,
    is_wanted,
    make_alert,
    title_text,
)
from client.storage.json_file import DamagedFileError
from tests.fakes.link import FakeLink, entry, message, room

SERVER = "tls://lab:4747"
NOTHING = ClientConfig(general=GeneralConfig(notifications="nothing"))


class Person:
    """A user at one terminal, and the notifications there."""

    def __init__(
        self, notified: Notified | None = None, settings: ClientConfig | None = None
    ) -> None:
        self.fake = FakeLink()
        self.front: str | None = None
        self.now = 1000.0
        self.alerts: list[Alert] = []
        self.notifier = Notifier(
            self.fake.model,
            settings or ClientConfig(),
            self.alerts.append,
            front=lambda: self.front,
            notified=notified or Notified(None, SERVER, "alice"),
            now=lambda: self.now,
            gather_seconds=0,
        )
        self.fake.on_change = self.notifier.changed
        self.fake.log_in(room("#ops"), room("#lab"), room("@bob", role=None))

    async def rings(self) -> list[str]:
        """Return the notifications since the last call."""
        await self.notifier.idle()
        texts = [f"{alert.title} | {alert.text}" for alert in self.alerts]
        self.alerts.clear()
        return texts


# Settings -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "chat", "is_mention", "wanted"),
    [
        ("all", "#ops", False, True),
        ("all", "@bob", False, True),
        ("mentions", "#ops", False, False),
        ("mentions", "#ops", True, True),
        ("mentions", "@bob", False, True),
        ("nothing", "#ops", True, False),
        ("nothing", "@bob", True, False),
    ],
)
def test_the_rule_of_the_chat_says_what_is_wanted(
    rule: Rule, chat: str, is_mention: bool, wanted: bool
) -> None:
    assert is_wanted(entry("hi", chat=chat), rule, "alice", is_mention) is wanted


def test_ones_own_messages_events_and_deleted_ones_are_never_wanted() -> None:
    for each in (
        entry("hi", sender="alice"),
        entry("", kind="join"),
        entry("", is_deleted=True),
    ):
        assert not is_wanted(each, "all", "alice", True)


# Wording ------------------------------------------------------------------------------


def test_a_notification_says_who_where_and_what_on_one_line() -> None:
    alert = make_alert([entry("disk full\n\x1b[2Jnow", sender="bob")])
    assert (alert.title, alert.text) == ("bob in #ops", "disk full ␛[2Jnow")
    assert make_alert([entry("hi", chat="@bob")]).title == "@bob"


def test_many_messages_are_one_notification() -> None:
    alert = make_alert([entry("one", 1), entry("two", 2), entry("three", 3, "carol")])
    assert (alert.title, alert.text) == ("3 messages in #ops", "carol: three")
    alert = make_alert([entry("one", 1), entry("two", 2, chat="#lab")])
    assert alert.title == "2 messages in 2 chats"


def test_a_notification_is_short_whatever_was_written() -> None:
    alert = make_alert([entry("x" * 10_000, sender="y" * 1_000)])
    assert len(alert.text) <= 200
    assert len(alert.title) <= 80


# Timing -------------------------------------------------------------------------------


async def test_a_mention_and_a_direct_message_ring_and_other_talk_does_not() -> None:
    alice = Person()
    alice.fake.take(message("nothing for anybody", 1))
    assert await alice.rings() == []
    alice.fake.take(message("look, alice", 2))
    assert await alice.rings() == ["bob in #ops | look, alice"]
    alice.fake.take(message("hi", 1, chat="@bob"))
    assert await alice.rings() == ["@bob | hi"]


async def test_what_comes_at_once_rings_once() -> None:
    alice = Person()
    for seq in range(1, 51):
        alice.fake.take(message(f"alice, {seq}", seq))
    assert await alice.rings() == ["50 messages in #ops | bob: alice, 50"]


async def test_what_is_in_front_of_ones_eyes_does_not_ring() -> None:
    alice = Person()
    alice.front = "#ops"
    alice.notifier.focus_changed(True)
    alice.fake.take(message("look, alice", 1))
    assert await alice.rings() == []
    alice.fake.take(message("look, alice", 1, chat="#lab"))
    assert await alice.rings() == ["bob in #lab | look, alice"]
    alice.notifier.focus_changed(False)
    alice.fake.take(message("look, alice", 2))
    assert await alice.rings() == ["bob in #ops | look, alice"]


async def test_where_the_terminal_does_not_say_a_key_shows_that_somebody_looks() -> (
    None
):
    alice = Person()
    alice.front = "#ops"
    alice.fake.take(message("look, alice", 1))
    assert len(await alice.rings()) == 1
    alice.notifier.active()
    alice.fake.take(message("look, alice", 2))
    assert await alice.rings() == []
    alice.now += WATCH_SECONDS
    alice.fake.take(message("look, alice", 3))
    assert len(await alice.rings()) == 1


async def test_what_was_read_elsewhere_does_not_ring() -> None:
    alice = Person()
    alice.fake.take(message("look, alice", 1))
    alice.fake.take(ReadPush(chat="#ops", user="alice", seq=1))
    assert await alice.rings() == []


async def test_what_another_reads_rings_all_the_same() -> None:
    alice = Person()
    alice.fake.take(message("hi", 1, chat="@bob"))
    alice.fake.take(ReadPush(chat="@bob", user="bob", seq=1))
    assert len(await alice.rings()) == 1


async def test_what_came_while_away_rings_once_when_all_of_it_is_there() -> None:
    alice = Person()
    alice.fake.log_in(room("#ops", last=2, unread=2), synced=False)
    alice.fake.take(message("alice?", 1))
    alice.fake.take(message("alice!", 2))
    assert await alice.rings() == []
    alice.fake.take(Synced())
    assert await alice.rings() == ["2 messages in #ops | bob: alice!"]


async def test_what_was_read_on_another_device_while_away_does_not_ring() -> None:
    alice = Person()
    alice.fake.log_in(room("#ops", last=2, read=1, unread=1), synced=False)
    alice.fake.take(message("alice?", 1))
    alice.fake.take(message("alice!", 2))
    alice.fake.take(Synced())
    assert await alice.rings() == ["bob in #ops | alice!"]


async def test_nothing_rings_again_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "rung.json"
    before = Person(Notified(path, SERVER, "alice"))
    before.fake.take(message("alice?", 1))
    assert await before.rings() == ["bob in #ops | alice?"]
    alice = Person(Notified(path, SERVER, "alice"))
    alice.fake.take(message("alice?", 1))
    assert await alice.rings() == []
    alice.fake.take(message("alice!", 2))
    assert await alice.rings() == ["bob in #ops | alice!"]


async def test_of_two_terminals_one_rings(tmp_path: Path) -> None:
    path = tmp_path / "rung.json"
    people = [Person(Notified(path, SERVER, "alice")) for _ in range(2)]
    for person in people:
        person.fake.take(message("alice?", 1))
    rings = await asyncio.gather(*(person.rings() for person in people))
    assert sorted(rings) == [[], ["bob in #ops | alice?"]]


async def test_another_user_of_the_device_is_not_kept_from_ringing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rung.json"
    for user in ("alice", "carol"):
        person = Person(Notified(path, SERVER, user))
        person.fake.take(message("alice?", 1))
        assert len(await person.rings()) == 1


async def test_a_log_that_begins_anew_rings_anew(tmp_path: Path) -> None:
    notified = Notified(tmp_path / "rung.json", SERVER, "alice")
    assert notified.claim("A", {"#ops": [7]}, {"#ops": 0}) == {("#ops", 7)}
    assert notified.claim("A", {"#ops": [7, 8]}, {"#ops": 0}) == {("#ops", 8)}
    assert notified.claim("B", {"#ops": [7]}, {"#ops": 0}) == {("#ops", 7)}


async def test_only_what_is_unread_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "rung.json"
    notified = Notified(path, SERVER, "alice")
    notified.claim(
        "A", {"#ops": [7], "#lab": [3], "#left": [1]}, {"#ops": 0, "#lab": 0}
    )
    assert "#left" not in path.read_text()
    notified.claim("A", {"#ops": [8]}, {"#ops": 0, "#lab": 3})
    assert "#lab" not in path.read_text()


async def test_a_damaged_file_is_left_alone_and_lets_everything_ring(
    tmp_path: Path,
) -> None:
    path = tmp_path / "rung.json"
    path.write_text("{")
    with pytest.raises(DamagedFileError):
        Notified(path, SERVER, "alice").claim("A", {}, {})
    alice = Person(Notified(path, SERVER, "alice"))
    alice.fake.take(message("alice?", 1))
    assert len(await alice.rings()) == 1
    assert path.read_text() == "{"


async def test_after_closing_nothing_rings() -> None:
    alice = Person()
    alice.fake.take(message("alice?", 1))
    await alice.notifier.close()
    assert alice.alerts == []


# The title ----------------------------------------------------------------------------


def test_the_title_counts_what_is_for_oneself() -> None:
    alice = Person()
    model = alice.fake.model
    assert title_text(model, ClientConfig(), None) == "chat"
    assert title_text(model, ClientConfig(), "#ops") == "#ops - chat"


async def test_the_title_marks_what_is_unread_and_not_for_oneself() -> None:
    alice = Person()
    model = alice.fake.model
    alice.fake.take(message("nothing for anybody", 1))
    assert title_text(model, ClientConfig(), "#lab") == "* #lab - chat"
    alice.fake.take(message("alice?", 2))
    alice.fake.take(message("hi", 1, chat="@bob"))
    alice.fake.take(message("hi", 2, chat="@bob"))
    assert title_text(model, ClientConfig(), "#lab") == "(3) #lab - chat"
    assert title_text(model, ClientConfig(chats={"#ops": "all"}), None) == "(4) chat"
    assert title_text(model, NOTHING, "#lab") == "#lab - chat"
    await alice.notifier.close()


def test_there_is_no_title_where_none_is_wanted() -> None:
    settings = ClientConfig(notify=NotifyConfig(title=False))
    assert title_text(Person().fake.model, settings, "#ops") == ""

"""What Tab offers: from the same table that dispatches."""

import pytest

from chatd.protocol.messages import Presence, PresenceOf
from client.commands import Candidates, complete, make_registry
from tests.unit.client_face.fakes import Stage, room


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

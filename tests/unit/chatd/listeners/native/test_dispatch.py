"""The table of requests: one rule for each, and when it is legal."""

from typing import Any, cast

import pytest

from chatd.listeners.native import dispatch as table
from chatd.listeners.native.dispatch import RULES, Rule, When, dispatch
from chatd.listeners.native.peer import Peer
from chatd.protocol.errors import NotAllowedError, NotAuthenticatedError
from chatd.protocol.messages import REQUESTS, Data, Ok, Ping, Register, Request, Whois


class LoggedIn:
    """As much of a session as a refusal needs."""

    user = "alice"


class Poke(Request, frozen=True, tag="poke"):
    """A request of a later version."""


SESSION = cast(Any, LoggedIn())
NOBODY = cast(Peer, object())


def test_every_request_has_a_rule() -> None:
    assert set(RULES) == set(REQUESTS)


def test_before_a_login_there_is_little_to_say() -> None:
    early = {kind.__name__ for kind, rule in RULES.items() if rule.when is not _AFTER}
    assert early == {"Ping", "Register", "Auth", "Data"}


_AFTER = When.AFTER_LOGIN


@pytest.mark.parametrize(
    ("request_", "is_logged_in", "refusal", "words"),
    [
        (Whois(id=1, user="bob"), False, NotAuthenticatedError, "log in before"),
        (
            Register(id=1, user="bob", password="x" * 8),
            True,
            NotAllowedError,
            "you are logged in as alice",
        ),
        (Data(id=1, ticket="x"), True, NotAllowedError, "a connection of their own"),
    ],
)
async def test_what_is_not_legal_is_refused_before_it_is_carried_out(
    request_: Request, is_logged_in: bool, refusal: type[Exception], words: str
) -> None:
    with pytest.raises(refusal, match=words):
        await dispatch(NOBODY, SESSION if is_logged_in else None, request_)


async def test_a_new_request_is_one_line_in_the_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def poke(peer: Peer, session: Any, request: Poke) -> Ok:
        return Ok()

    rules: dict[type[Request], Rule] = {Poke: Rule(poke)}
    monkeypatch.setattr(table, "RULES", RULES | rules)
    assert await dispatch(NOBODY, SESSION, Poke(id=1)) == Ok()
    with pytest.raises(NotAuthenticatedError):
        await dispatch(NOBODY, None, Poke(id=1))
    assert RULES[Ping].when is When.ALWAYS

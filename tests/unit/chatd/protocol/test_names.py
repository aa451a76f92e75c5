"""Names of users and rooms: one canonical form for every case and width."""

import unicodedata

import precis_i18n
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scramp.utils import ScramException, saslprep

from chatd.protocol.errors import BadNameError
from chatd.protocol.names import (
    MAX_ROOM_NAME,
    MAX_USER_NAME,
    parse_address,
    parse_room_address,
    parse_room_name,
    parse_user_name,
)

letters = st.characters(categories=["L", "M", "Nd", "Po", "Zs", "Cf", "So"])
anything = st.text(max_size=80) | st.text(letters, max_size=80)
latin = st.from_regex(r"[A-Za-z0-9äÖéΣßñ][A-Za-z0-9äÖéσς._-]{0,20}", fullmatch=True)


def canonical(name: str) -> str | None:
    """Return a user name's canonical form, None where it is refused."""
    try:
        return parse_user_name(name)
    except BadNameError as error:
        return None if error.code == "bad_name" and error.reason else "no reason"


@given(anything | latin)
@example("\ud800")
@example("a\udfff")
@example("@bob")
@example("\u0345")
def test_a_name_is_refused_or_its_canonical_form_is_its_own(name: str) -> None:
    form = canonical(name)
    if form is not None:
        assert parse_user_name(form) == form


@given(anything | latin)
def test_a_canonical_name_keeps_every_rule(name: str) -> None:
    form = canonical(name)
    if form is None:
        return
    assert 1 <= len(form) <= MAX_USER_NAME
    for char in form:
        assert (
            unicodedata.category(char)[0] in "LM" or char in "_-." or char.isdecimal()
        )
    assert form[0] not in "_-."
    assert unicodedata.normalize("NFC", form) == form == form.lower()
    assert saslprep(form) == form


@given(latin)
def test_case_does_not_distinguish_names(name: str) -> None:
    assert canonical(name.lower()) == canonical(name)


@given(latin | anything)
def test_a_room_name_is_canonical_like_a_user_name(name: str) -> None:
    form = canonical(name)
    if form is not None:
        assert parse_room_name(name) == form


@given(anything)
def test_an_address_is_its_kind_and_a_canonical_name(name: str) -> None:
    form = canonical(name)
    if form is None:
        with pytest.raises(BadNameError):
            parse_address("@" + name)
    else:
        assert parse_address("@" + name) == ("direct", form)
        assert parse_address("#" + name) == ("room", form)


@pytest.mark.parametrize(
    ("typed", "form"),
    [
        ("alice", "alice"),
        ("Alice", "alice"),
        ("ALICE.B-c_d", "alice.b-c_d"),
        ("\uff21lice", "alice"),
        ("Zo\u0065\u0308", "zo\u00eb"),
        ("\u00c4RZTE", "\u00e4rzte"),
        ("\u0391\u03a3", "\u03b1\u03c2"),
        ("\u674e\u96f7", "\u674e\u96f7"),
        ("7of9", "7of9"),
        ("x" * 32, "x" * 32),
    ],
)
def test_a_name_becomes_its_canonical_form(typed: str, form: str) -> None:
    assert canonical(typed) == form


@pytest.mark.parametrize(
    "name",
    ["", " ", "a b", "a\tb", "a\n", "\0", "a\0", ".a", "-a", "_a", "a@b", "a#", "a/b"]
    + ["a\u200db", "a\u202eb", "\u2460", "\u00bd", "\u2163", "a\u00ad", "\U0001f600"]
    + ["x" * 33, "x" * 10_000, "\ufb01x" * 40, "a\u00a0b", "\ufeffa", "a!", "a,b"],
)
def test_a_name_that_breaks_a_rule_is_refused(name: str) -> None:
    assert canonical(name) is None


def test_a_mark_may_not_be_what_is_left_of_nothing() -> None:
    assert canonical("\u0301") in (None, "\u0301")


def test_a_room_name_has_up_to_64_characters() -> None:
    assert parse_room_name("r" * MAX_ROOM_NAME) == "r" * 64
    with pytest.raises(BadNameError, match="at most 64"):
        parse_room_name("r" * 65)


@pytest.mark.parametrize(
    "address", ["", "bob", "@", "#", "@@bob", "##a", "!a", " @bob"]
)
def test_what_is_neither_user_nor_room_is_no_address(address: str) -> None:
    with pytest.raises(BadNameError):
        parse_address(address)


def test_a_room_address_is_no_user() -> None:
    assert parse_room_address("#Ops") == "ops"
    with pytest.raises(BadNameError, match="#"):
        parse_room_address("@ops")


@given(st.text(st.characters(categories=["L", "M", "Nd"]), min_size=1, max_size=6))
@example("א1")
@example("אb")
@example("1א")
@example("ℵ")
@example("a\u034f")
def test_a_name_that_saslprep_leaves_alone_can_be_used_to_log_in(name: str) -> None:
    try:
        form = precis_i18n.get_profile("UsernameCaseMapped").enforce(name)
        is_left_alone = saslprep(form) == form
    except (UnicodeEncodeError, ScramException):
        return
    if is_left_alone and len(form) <= MAX_USER_NAME:
        assert canonical(name) == form

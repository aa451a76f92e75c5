"""Password rules (chatd.accounts.passwords): length and SASLprep."""

import pytest

from chatd.accounts.passwords import prepare_password
from chatd.protocol.errors import WeakPasswordError


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("12345678", "12345678"),
        ("a" * 1024, "a" * 1024),
        ("Passwörter", "Passwörter"),
        ("a\u00a0b\u00a0cdefg", "a b cdefg"),
        ("ﬁve\u00ad words", "five words"),
        ("пароль123", "пароль123"),
    ],
)
def test_a_good_password_is_prepared(password: str, prepared: str) -> None:
    assert prepare_password(password) == prepared


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "at least 8"),
        ("1234567", "at least 8"),
        ("\u00ad" * 20, "at least 8"),
        ("a" * 1025, "at most 1024"),
        ("ä" * 513, "at most 1024"),
        ("bell\u0007 in it", "cannot be used"),
        ("line\nbreaks", "cannot be used"),
        ("mixed אבג directions", "cannot be used"),
        ("\ud800 surrogate", "not valid Unicode"),
    ],
)
def test_a_bad_password_is_refused_with_the_reason(password: str, reason: str) -> None:
    with pytest.raises(WeakPasswordError, match=reason):
        prepare_password(password)

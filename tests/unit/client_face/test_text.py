"""Text from others: harmless, of one width, wrapped."""

import re
import unicodedata

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from client.text import cells, clean, display, fit, pad, width, wrap

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
HARD_TEXT = st.text(
    st.sampled_from(
        "ab \n\t1*‍️⃣👩👍🏽❤✂🇯🇵🇬🇧🏴\U000e0067\U000e007f"
        "क्षिीநிকৗกำ가각각ᄀ\u0301\u0300\u05bcשלام"
        "\u0600\u200c\u200e\u202e\u2066\u2028\x1b\x9b\x7f\u3164漢字ｶﾞ\ufe0e"
    )
)
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@given(ANY_TEXT | HARD_TEXT)
def test_clean_text_holds_nothing_that_acts_on_a_terminal(text: str) -> None:
    cleaned = clean(text, is_multiline=True)
    assert not ACTING.search(cleaned)
    assert "\n" not in clean(text)


@given(ANY_TEXT | HARD_TEXT)
def test_clean_text_is_not_changed_by_cleaning_it_again(text: str) -> None:
    cleaned = clean(text, is_multiline=True)
    assert clean(cleaned, is_multiline=True) == cleaned


@given(ANY_TEXT | HARD_TEXT)
def test_display_text_has_the_same_width_whoever_counts(text: str) -> None:
    shown = display(text)
    assert get_cwidth(shown) == wcwidth.width(shown) == cells(shown) == width(shown)


@given(HARD_TEXT)
def test_display_text_is_clean(text: str) -> None:
    shown = display(text, is_multiline=True)
    assert not ACTING.search(shown)


@given(ANY_TEXT | HARD_TEXT)
def test_no_character_carries_more_than_four_marks(text: str) -> None:
    shape = "".join(
        "M" if unicodedata.category(c)[0] == "M" else "x" for c in clean(text)
    )
    assert "MMMMM" not in shape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text", "plain text"),
        ("\x1b[2J\x1b]0;owned\x07", "␛[2J␛]0;owned␇"),
        ("a\x9b31mred", "a\ufffd31mred"),
        ("one\r\ntwo\u2028three", "one two three"),
        ("a\tb", "a    b"),
        ("\u202eevil\u202c", "evil"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("🇯🇵 and 🇬🇧", "[JP] and [GB]"),
        ("👍🏽", "👍"),
        ("👩‍👩‍👧", "👩👩👧"),
        ("❤️", "❤"),
        ("1️⃣", "1"),
        ("\u0301x", "◌\u0301x"),
        ("naïve café", "naïve café"),
        ("日本語 한국어", "日本語 한국어"),
        ("می‌خواهم", "می‌خواهم"),
        ("lone \ud83d half", "lone \ufffd half"),
        ("e" + "\u0301" * 50, "e" + "\u0301" * 4),
    ],
)
def test_what_people_see_of_a_text(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_line_ends_stay_where_there_may_be_many_lines() -> None:
    assert clean("a\r\nb\rc\vd", is_multiline=True) == "a\nb\nc\nd"


def test_hindi_stays_whole_in_clean_text_and_readable_in_the_display_form() -> None:
    assert clean("हिन्दी") == "हिन्दी"
    assert display("की") == "कई"


@given(ANY_TEXT | HARD_TEXT, st.integers(0, 30))
def test_fitted_text_takes_exactly_the_cells_it_was_given(text: str, size: int) -> None:
    assert width(fit(display(text), size)) == size


def test_text_that_is_too_long_is_cut_with_an_ellipsis() -> None:
    assert fit("連続する漢字", 6) == "連続… "
    assert fit("alice", 8) == "alice   "
    assert pad("alexandra", 5) == "alexandra"


@given(HARD_TEXT, st.integers(4, 20))
def test_wrapped_lines_are_never_wider_than_asked(text: str, size: int) -> None:
    for line in wrap(display(text, is_multiline=True), size):
        assert width(line) <= size


def test_words_are_wrapped_at_blanks() -> None:
    assert wrap("the quick brown fox", 10) == ["the quick", "brown fox"]
    assert wrap("漢字漢字", 4) == ["漢字", "漢字"]
    assert wrap("", 10) == [""]


def test_a_link_can_be_left_whole() -> None:
    link = "https://example.org/a-very-long-path"
    assert wrap(f"see {link} now", 12, is_breaking=False) == ["see", link, "now"]

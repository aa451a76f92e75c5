"""Safe text (chatd.text.safe): harmless, of a known width, wrapped."""

import re

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatd.text.safe import (
    MAX_MARKS,
    cells,
    clean,
    clusters,
    display,
    fit,
    pad,
    signs_of,
    width,
    wrap,
)

ANY_TEXT = st.text(st.characters(exclude_categories=[]))
HARD_TEXT = st.text(
    st.sampled_from(
        "ab \n\t1*‍️⃣👩👍🏽❤✂🇯🇵🇬🇧🏴\U000e0067\U000e007f"
        "क्षिीநிকৗกำ가각각ᄀ\u0301\u0300\u05bcשלام"
        "\u0600\u200c\u200e\u202e\u2066\u2028\x1b\x9b\x7f\u3164漢字ｶﾞﾞ\ufe0e"
        "\u200d\u094d\u0bcd\u102c\u1031\u17b6\u09d7\u1161\u11a8\U00040940\xa0"
    )
)
LANGUAGES = [
    "नमस्ते, सर्वर की क्षति ठीक है; दुःख, हिन्दी",
    "বাংলা র‍্যাব উৎস কৈ",
    "தமிழ் கொடு வணக்கம்",
    "తెలుగు తెలంగాణ",
    "ಕನ್ನಡ ಬೆಂಗಳೂರು",
    "മലയാളം എന്ത്",
    "ગુજરાતી ਪੰਜਾਬੀ ଓଡ଼ିଆ",
    "සිංහල ශ්‍රී ලංකාව",
    "မြန်မာဘာသာ လျှော့",
    "ភាសាខ្មែរ",
    "ภาษาไทย กำลัง น้ำ",
    "ພາສາລາວ ຄຳ",
    "བོད་སྐད་ཡིག",
    "مُحَمَّد السَّلَامُ عَلَيْكُم ﷺ",
    "می‌خواهم",
    "בְּרֵאשִׁ֖ית שָׁלוֹם",
    "עברית \u200e(English)\u200f ועוד",
    "漢字かな交じり文 ｶﾞ が",
    "한국어 한국어",
    "Tiếng Việt, ọ̀rẹ́, t͡ʃ, ᾧ, Ёлка",
    "ދިވެހި አማርኛ ქართული հայերեն",
    "Bonjour\xa0! «\u202foui\u202f»",
    "🎉 👩 ✈ ❤ 🫩",
]
ACTING = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b"
    "\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
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
def test_no_character_carries_more_marks_than_any_script_needs(text: str) -> None:
    shape = "".join("x" if wcwidth.wcwidth(c) else "M" for c in clean(text))
    # In addition, there may be one directional mark.
    assert "M" * (MAX_MARKS + 2) not in shape


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
        ("e" + "\u0301" * 50, "e" + "\u0301" * MAX_MARKS),
        ("a\u0897" + "\u0897" * 50, "a" + "\u0897" * MAX_MARKS),
        ("a\u200e\u200f\u200e\u061c b", "a\u200e b"),
        ("a \u200eb", "a \u200eb"),
        ("\u200e\u0301", "\u200e◌\u0301"),
        ("\u200ca", "a"),
        ("\u1161", "◌\u1161"),
        ("\ufdd0\U0001ffff", "\ufffd\ufffd"),
        ("葛\U000e0100 x\U000e01f0\U000e0fff", "葛 x"),
        ("Donau\u00addampf", "Donaudampf"),
        ("\ue000\U0010fffd\u0378", "\ue000\U0010fffd\u0378"),
    ],
)
def test_what_people_see_of_a_text(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_line_ends_stay_where_there_may_be_many_lines() -> None:
    assert clean("a\r\nb\rc\vd", is_multiline=True) == "a\nb\nc\nd"


@pytest.mark.parametrize("text", LANGUAGES)
def test_nothing_of_what_people_write_in_their_language_is_lost(text: str) -> None:
    assert clean(text) == text
    assert signs_of(display(text)) == text


def test_each_letter_of_a_long_conjunct_is_seen() -> None:
    assert signs_of(display("राष्ट्र")) == "राष्ट्\u200cर"
    assert signs_of(display("சேர்ந்து")) == "சேர்ந்\u200cது"


def test_only_what_is_disputed_is_shown_otherwise() -> None:
    assert signs_of(display("Zoé की \x07\u200e\u09d7 ok")) == "Zoé की ␇\u200e◌\u09d7 ok"


@given(HARD_TEXT, HARD_TEXT)
def test_no_two_clusters_of_another_width_outweigh_each_other(
    one: str, two: str
) -> None:
    text = display(one + two)
    for end in range(len(text) + 1):
        assert cells(text[:end]) == width(text[:end])


@given(ANY_TEXT | HARD_TEXT)
def test_the_display_form_of_the_display_form_is_the_same(text: str) -> None:
    assert display(display(text)) == display(text)


def test_a_conjunct_without_end_costs_no_more_than_other_text() -> None:
    # Work that grows faster than the text would take minutes here.
    for text in ("क्" * 9_000, "க்" * 9_000, "कीि" * 9_000, "\u1100" * 9_000 + "ी"):
        shown = display(text)
        assert cells(shown) == width(shown)


def test_each_character_of_the_bmp_is_harmless_and_of_one_width() -> None:
    for code in range(0x20, 0x10000):
        shown = display(f"x{chr(code)}y")
        assert not ACTING.search(shown), hex(code)
        assert cells(shown) == width(shown), hex(code)


@given(HARD_TEXT)
def test_a_sign_is_in_the_cluster_of_its_letter(text: str) -> None:
    shown = display(text)
    assert "".join(clusters(shown)) == shown
    assert not any(signs_of(c[0]) != c[0] for c in clusters(shown))


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

"""Grapheme clusters: typed text shown with a known width, and one key per cluster."""

import pytest
import wcwidth
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.utils import get_cwidth

from chatd.text.safe import display
from client.ui.composer.graphemes import cluster_after, cluster_before, shown_form

HARD = (
    "ab \t1*‍️⃣👩👍🏽❤🇯🇵🇬🇧🏴क्षिीनিகৗกำ가각ᄀ"
    "\u094d\u0bcd\u102c\u1031\u17b6\u1161\U00040940\u200d\u200e"
    "\u0301\u0300\u05bcשلام\u0600\u200c\u202e\x1b\x9b\x7f漢ｶﾞ"
)
LINES = st.text(st.characters(exclude_characters="\n")) | st.text(st.sampled_from(HARD))


@given(LINES)
def test_the_shown_form_has_the_same_width_whoever_counts(text: str) -> None:
    shown, _ = shown_form(text)
    assert get_cwidth(shown) == wcwidth.width(shown)


@given(LINES)
def test_every_code_point_stands_somewhere_and_in_order(text: str) -> None:
    shown, places = shown_form(text)
    assert len(places) == len(text) + 1
    assert places[0] == 0 or not text
    assert places[-1] == len(shown)
    assert list(places) == sorted(places)


@pytest.mark.parametrize(
    "text", ["सर्वर की राष्ट्र", "சேர்ந்து வணக்கம்", "မြန်မာဘာသာ", "r\u200dé", "ভাষা র‍্যাব"]
)
def test_what_is_typed_looks_as_it_will_when_it_is_sent(text: str) -> None:
    assert shown_form(text)[0] == display(text)


def test_a_conjunct_without_end_can_be_typed() -> None:
    shown, places = shown_form("க்" * 5_000)
    assert get_cwidth(shown) == wcwidth.width(shown)
    assert len(set(places)) > 5_000


def test_a_cluster_is_all_that_stands_in_one_place() -> None:
    family = "👩‍👩‍👧"
    text = f"a{family}b\n"
    assert cluster_after(text, 0) == cluster_before(text, 1) == 1
    assert cluster_after(text, 1) == cluster_before(text, 6) == len(family)
    assert cluster_after(text, 7) == cluster_before(text, 8) == 1
    assert cluster_before(text, 0) == cluster_after(text, 8) == 0


@given(LINES)
def test_going_back_by_clusters_reaches_the_beginning(text: str) -> None:
    cursor = len(text)
    while cursor:
        step = cluster_before(text, cursor)
        assert step > 0
        cursor -= step
    assert cursor == 0

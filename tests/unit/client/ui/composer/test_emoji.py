"""Emoji shortcodes: which are replaced, and which are offered."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ui.composer import emoji


@pytest.mark.parametrize(
    ("text", "replaced"),
    [
        (":tada:", "🎉"),
        ("(:tada:)", "(🎉)"),
        (":TADA: :+1:!", "🎉 👍!"),
        (":tada::+1:", "🎉👍"),
        ("**:heart:**", "**❤️**"),
        (":tada::nonsense:", ":tada::nonsense:"),
        (":nonsense: :tada:", ":nonsense: 🎉"),
        ("at 10:30:45", "at 10:30:45"),
        ("a:100:b", "a:100:b"),
        ("std::string::npos", "std::string::npos"),
        ("foo::bell::bar", "foo::bell::bar"),
        ("`:tada:` :tada:", "`:tada:` 🎉"),
        ("a ` b :tada:", "a ` b 🎉"),
        ("```\n:tada:\n```\n:tada:", "```\n:tada:\n```\n🎉"),
        ("````md\n```\n:tada:\n````\n:tada:", "````md\n```\n:tada:\n````\n🎉"),
        ("```\n:tada:", "```\n:tada:"),
        ("no colons", "no colons"),
        ("one : colon", "one : colon"),
    ],
)
def test_shortcodes_are_replaced_but_not_in_code_or_in_words(
    text: str, replaced: str
) -> None:
    assert emoji.replace(text) == replaced


@given(st.text(":`qz7 \n"))
def test_a_text_without_shortcodes_is_left_as_it_is(text: str) -> None:
    assert emoji.replace(text) == text


@pytest.mark.parametrize("piece", [":a", ":tada:", "`", "```\n`", ":a::", "\n```"])
def test_a_hostile_text_takes_no_longer_than_it_is_long(piece: str) -> None:
    # With work that grows as the square of the length this would take hours.
    assert emoji.replace(piece * 300_000 + "x") != ""


def test_names_are_found_by_each_of_their_words_the_first_word_first() -> None:
    names = [name for name, _ in emoji.offers("heart")]
    assert names[0] == "heart"
    assert "broken_heart" in names
    assert names.index("heart_eyes") < names.index("broken_heart")
    assert dict(emoji.offers("tad")) == {"tada": "🎉"}
    assert emoji.offers("no_such_name") == []


def test_offers_are_bounded_and_leave_out_skin_tones() -> None:
    assert len(emoji.offers("")) == len(emoji.offers("s")) == emoji.MAX_OFFERS
    assert not any("skin_tone" in name for name, _ in emoji.offers("waving_hand"))


def test_a_name_is_found_in_any_case() -> None:
    assert emoji.find("Tada") == "🎉"
    assert emoji.find("nonsense") is None


def test_the_table_is_not_read_before_it_is_needed() -> None:
    code = (
        "import sys; from client.ui.composer import emoji\n"
        "emoji.replace('at 10:30:45')\n"
        "assert not emoji.is_loaded() and 'emoji' not in sys.modules\n"
        "emoji.replace(':tada:')\n"
        "assert emoji.is_loaded()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == ""

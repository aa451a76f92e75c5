"""Key names as users write them and as prompt_toolkit knows them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.key_binding.key_bindings import _parse_key
from prompt_toolkit.keys import Keys

from client.keys.key_names import BadKeyError, format_keys, is_typing, parse_keys

PAIRS = [
    ("Alt+A", "escape a"),
    ("Alt+Shift+A", "escape A"),
    ("Ctrl+X Ctrl+E", "c-x c-e"),
    ("F2", "f2"),
    ("PageUp", "pageup"),
    ("Alt+1", "escape 1"),
    ("Alt+/", "escape /"),
    ("Alt++", "escape +"),
    ("Alt+-", "escape -"),
    ("Alt+Enter", "escape enter"),
    ("Alt+Ctrl+A", "escape c-a"),
    ("Alt+PageDown", "escape pagedown"),
    ("Esc", "escape"),
    ("Shift+Tab", "s-tab"),
    ("Ctrl+Shift+Up", "c-s-up"),
    ("Ctrl+Space", "c-space"),
    ("Ctrl+F5", "c-f5"),
    ("Space", "space"),
    ("k", "k"),
    ("K", "K"),
    ("é", "é"),
    ("Alt+É", "escape é"),
]


@pytest.mark.parametrize(("text", "keys"), PAIRS)
def test_keys_are_read_and_written_the_same_way(text: str, keys: str) -> None:
    assert parse_keys(text) == keys
    assert parse_keys(format_keys(keys)) == keys
    assert format_keys(keys) in (text, "Ctrl+Alt+A", "Alt+Ctrl+A")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("alt-a", "escape a"),
        ("CTRL-x  control+E", "c-x c-e"),
        ("Meta+PgUp", "escape pageup"),
        ("esc a", "escape a"),
        ("Shift+k", "K"),
        ("return", "enter"),
        ("DEL", "delete"),
    ],
)
def test_other_ways_of_writing_them_are_understood(text: str, keys: str) -> None:
    assert parse_keys(text) == keys


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("Ctrl+I", "Tab"),
        ("Ctrl+M", "Enter"),
        ("Ctrl+H", "Backspace"),
        ("Ctrl+[", "Esc"),
        ("Ctrl+@", "Ctrl+Space"),
    ],
)
def test_what_a_terminal_cannot_tell_apart_is_one_key(text: str, same: str) -> None:
    assert parse_keys(text) == parse_keys(same)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a key is missing"),
        ("  ", "a key is missing"),
        ("Hyper+A", "'Hyper' is none of Ctrl, Alt and Shift"),
        ("PageUpp", "is no key"),
        ("Ctrl+Shift+A", "terminals do not send"),
        ("Shift+Enter", "terminals do not send"),
        ("Ctrl+Enter", "terminals do not send"),
        ("Ctrl+1", "terminals do not send"),
        ("Shift+1", "terminals do not send"),
        ("Ctrl+é", "terminals do not send"),
        ("Ctrl+F23", "terminals do not send"),
        ("Alt+[", "cannot be used"),
        ("Alt+Shift+O", "cannot be used"),
        ("Alt+", "is no key"),
        ("F25", "is no key"),
        ("\x01", "is no key"),
    ],
)
def test_what_is_no_key_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(BadKeyError, match=said):
        parse_keys(text)


def test_only_what_writes_into_a_text_is_typing() -> None:
    assert is_typing("k")
    assert is_typing("space")
    assert is_typing("k escape")
    assert not any(map(is_typing, ["escape k", "c-k", "up", "enter", "f1"]))


@given(st.text(max_size=12))
def test_whatever_is_read_is_known_to_prompt_toolkit_and_reads_the_same_again(
    text: str,
) -> None:
    try:
        keys = parse_keys(text)
    except BadKeyError:
        return
    assert all(isinstance(_parse_key(key), Keys | str) for key in keys.split())
    assert parse_keys(format_keys(keys)) == keys


MODIFIERS = ["", "Ctrl+", "Alt+", "Shift+", "Ctrl+Alt+", "Ctrl+Shift+", "Alt+Shift+"]
NAMED = "Enter Tab Esc Backspace Space Up Left Home End PageUp Insert Delete F1 F12 F24"


@pytest.mark.parametrize("modifier", MODIFIERS)
@pytest.mark.parametrize("key", [*NAMED.split(), *"aZ1/@[]^_\\ß"])
def test_every_chord_is_either_refused_or_known_to_prompt_toolkit(
    modifier: str, key: str
) -> None:
    try:
        keys = parse_keys(modifier + key)
    except BadKeyError:
        return
    for each in keys.split():
        _parse_key(each)
    assert parse_keys(format_keys(keys)) == keys

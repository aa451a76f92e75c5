"""Status messages: their key hints name the keys that the user has bound."""

from client.text.styles import Line
from client.ui.status_messages import fold_hint, not_sent, nothing_open


def text_of(lines: list[Line]) -> str:
    return "\n".join("".join(text for _, text in line) for line in lines)


def test_the_hint_at_a_long_message_names_the_keys_that_show_all() -> None:
    assert fold_hint({}) == "Alt+M, then Enter shows all"
    own = {"select": ("c-o", "f9"), "select-fold": ("+",)}
    assert fold_hint(own) == "Ctrl+O, then + shows all"


def test_where_no_key_shows_all_no_key_is_named() -> None:
    for action in ("select", "select-fold"):
        assert fold_hint({action: ()}) == "client.toml leaves no key that shows all"


def test_of_a_message_that_was_not_sent_it_is_said_where_and_why() -> None:
    assert not_sent("", "too long", {}) == (
        "your message was not sent: too long (Ctrl+Up has it back)"
    )
    assert not_sent("#ops", "too long", {"history-back": ("f9",)}) == (
        "your message to #ops was not sent: too long (F9 has it back)"
    )
    assert not_sent("", "too long", {"history-back": ()}) == (
        "your message was not sent: too long"
    )


def test_where_no_chat_is_open_the_keys_that_open_one_are_named() -> None:
    said = text_of(nothing_open({"next-activity": ("f9",), "switcher": ()}))
    assert (
        said == "No chat is open\n\nF9: the next chat with something new, yours first"
    )

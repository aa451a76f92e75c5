"""What is entered: a message, a command, a chat to open, or nothing."""

import pytest

from client.commands.input import GoTo, Invocation, Message, parse_input
from client.model.model import Model
from tests.fakes.link import room


@pytest.mark.parametrize(
    ("typed", "entered"),
    [
        ("", None),
        (" \n ", None),
        ("hello", Message("hello")),
        ("  indented\nand more  \n", Message("  indented\nand more")),
        ("//etc/hosts", Message("/etc/hosts")),
        ("/me waves ", Message("waves", "action")),
        ("/ME waves", Message("waves", "action")),
        ("/me", Invocation("me", "")),
        ("/Join  #ops ", Invocation("Join", "#ops")),
        ("/topic\nof two lines", Invocation("topic", "of two lines")),
        ("/", Invocation("", "")),
        ("#Lab", GoTo("#lab")),
        (" @bob ", GoTo("@bob")),
        ("#lab is open", Message("#lab is open")),
        ("#42", Message("#42")),
        ("#7", GoTo("#7")),
        ("#", Message("#")),
    ],
)
def test_each_means_one_thing(typed: str, entered: object) -> None:
    model = Model("alice")
    model.load_chats([room("#7")], {})
    assert parse_input(typed, model) == entered

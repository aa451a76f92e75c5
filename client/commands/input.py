"""What a user has entered: a message, a command, or a chat to open; parsed once."""

from typing import Literal

from msgspec import Struct

from chatd.protocol.errors import BadNameError
from chatd.protocol.names import parse_address
from client.model.model import Model


class Message(Struct, frozen=True):
    """A message for the open chat."""

    text: str
    kind: Literal["text", "action"] = "text"


class Invocation(Struct, frozen=True):
    """A command, by the name that was typed, and the text behind it."""

    name: str
    arguments: str


class GoTo(Struct, frozen=True):
    """A chat to open."""

    address: str


Entered = Message | Invocation | GoTo


def parse_input(text: str, model: Model) -> Entered | None:
    """Return what a text means; None if there is nothing in it.

    ``/me`` with a text is a message, and a leading ``//`` is one of a leading ``/``. An
    address alone opens that chat, even one that the user does not have, so that it is
    never sent to the open room by mistake.
    """
    text = text.strip("\n").rstrip()
    if not text.strip():
        return None
    command = split_command(text)
    if command is not None:
        name, arguments = command
        if name.lower() == "me" and arguments:
            return Message(arguments, "action")
        return Invocation(name, arguments)
    address = _address_alone(text.strip(), model)
    if address is not None:
        return GoTo(address)
    return Message(text[1:] if text.startswith("//") else text)


def split_command(text: str) -> tuple[str, str] | None:
    """Return the name and arguments of a command; None if the text is no command."""
    if not text.startswith("/") or text.startswith("//"):
        return None
    name, _, arguments = text[1:].partition(" ")
    if "\n" in name:
        name, _, rest = name.partition("\n")
        arguments = f"{rest} {arguments}"
    return name, arguments.strip()


def _address_alone(text: str, model: Model) -> str | None:
    # ``#42`` is a number, unless the user is in a room of that name.
    try:
        kind, name = parse_address(text)
    except BadNameError:
        return None
    address = f"{'#' if kind == 'room' else '@'}{name}"
    is_number = kind == "room" and name.isdigit()
    return None if is_number and address not in model.chats else address

"""The sentences for events of a log, in the words of every program that shows them."""

from typing import Protocol

from chatd.text.safe import clean

_EVENTS = {
    "create": "made the room",
    "join": "joined",
    "leave": "left",
    "remove": "was removed",
    "edit": "changed a message:",
    "delete": "deleted a message",
    "pin": "pinned a message",
    "reaction": "reacted to a message",
}


class Event(Protocol):
    """What the sentence is made of; see ``client.model.entries.Entry``."""

    @property
    def chat(self) -> str:
        """The address of the chat."""

    @property
    def kind(self) -> str:
        """What happened."""

    @property
    def sender(self) -> str:
        """Who did it, or whom it was done to if there is a ``by``."""

    @property
    def by(self) -> str | None:
        """Who did it to the sender."""

    @property
    def text(self) -> str:
        """A detail, "" where there is none."""

    @property
    def topic(self) -> str | None:
        """The new topic."""

    @property
    def visibility(self) -> str | None:
        """That of a new room."""


def event_sentence(entry: Event) -> str:
    """Return an event of a log as a sentence, clean."""
    who = clean(entry.by or entry.sender)
    if entry.kind == "topic":
        topic = clean(entry.topic or entry.text)
        return f"{who} set the topic: {topic}" if topic else f"{who} took the topic off"
    if entry.kind == "remove" and entry.by:
        return f"{who} removed {clean(entry.sender)}"
    said = _EVENTS.get(entry.kind, f"({clean(entry.kind)})")
    if entry.kind == "create" and entry.visibility == "private":
        said = "made the private room"
    detail = clean(entry.text)
    if entry.kind == "create":
        return f"{who} {said} {clean(entry.chat)}"
    return f"{who} {said} {detail}".rstrip()

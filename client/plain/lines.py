"""Plain-mode rendering: an entry or a notice as one line, first who, then what.

For users who hear the output: nothing is aligned, nothing has a meaning by its colour
or its place alone, and a text of several lines becomes one line, so that no part of it
can be taken for another user's message.
"""

import re

from chatd.text.events import event_sentence
from chatd.text.safe import clean
from client.commands.workspace import Workspace
from client.model.entries import Entry, OutboxItem
from client.text.entries import excerpt, gist, item_entry
from client.text.files import file_text
from client.text.styles import Line, plain

_WRITTEN = "written"
_LINE_END = " / "


def one_line(text: str) -> str:
    """Return a text of any number of lines as one line, clean."""
    parts = clean(text, is_multiline=True).split("\n")
    return _LINE_END.join(part.strip() for part in parts if part.strip())


def entry_line(
    entry: Entry, *, is_named: bool = False, mark: str = "", quoted: Entry | None = None
) -> str:
    """Return an entry as one line: who, with ``is_named`` where, and what."""
    who, chat = clean(entry.sender), clean(entry.chat)
    if not entry.is_message:
        event = event_sentence(entry)
        return f"{event} in {chat}" if is_named and chat not in event else event
    place = ""
    if is_named and entry.chat == f"@{entry.sender}":
        who = chat
    elif is_named:
        place = f" {'to' if chat.startswith('@') else 'in'} {chat}"
    text = " ".join(filter(None, (_text(entry, quoted), clean(mark))))
    if entry.kind == "action":
        return f"* {who}{place} {text}"
    return f"{who}{place}: {text}"


def _text(entry: Entry, quoted: Entry | None) -> str:
    if entry.is_deleted:
        return "(deleted)"
    text = one_line(entry.text)
    if entry.file is not None:
        said = f" {text}" if text else ""
        text = f"[file] {file_text(entry.file)}, /get {entry.seq}{said}"
    if entry.edited_ms is not None:
        text += " (changed)"
    if entry.reply_to is not None:
        of = "earlier"
        if quoted is not None:
            of = f"{clean(quoted.sender)}: {excerpt(gist(quoted))}"
        text = f"[re {of}] {text}"
    return text


def shown_text(line: Line) -> str:
    """Return an output line as text, without what is there only for the eye."""
    if any(style == "class:divider" for style, _ in line):
        return plain(line).strip("─ ")
    if any(style == _WRITTEN for style, _ in line):
        parts = (text if style == _WRITTEN else _narrow(text) for style, text in line)
        return "".join(parts).strip()
    return _narrow(plain(line)).strip()


def _narrow(text: str) -> str:
    return re.sub("  +", "  ", text)


class PlainWorkspace(Workspace):
    """A workspace that shows everything as plain lines."""

    def say(self, *texts: str) -> None:
        """Show notices of the program, a line for each text."""
        self.frontend.show([(_WRITTEN, one_line(text))] for text in texts)

    def fail(self, text: str) -> None:
        """Show an error."""
        self.say(f"error: {text}")

    def lines_of(
        self, entry: Entry, *, is_named: bool = False, mark: str = ""
    ) -> list[Line]:
        """Return an entry as this workspace shows it."""
        chat = self.model.chats.get(entry.chat)
        quoted = chat.entry(entry.reply_to) if chat and entry.reply_to else None
        text = entry_line(entry, is_named=is_named, mark=mark, quoted=quoted)
        return [[(_WRITTEN, text)]]

    def lines_of_item(self, item: OutboxItem) -> list[Line]:
        """Return an outbox item as this workspace shows it, with its state."""
        mark = ""
        if item.state == "refused":
            mark = f"(not sent: {item.reason or 'refused'})"
        elif item.state == "waiting":
            mark = f"(waiting: {item.reason})" if item.reason else "(waiting)"
        entry = item_entry(item, self.model.me)
        return self.lines_of(entry, is_named=item.chat != self.current, mark=mark)

"""Entries and what the program says as single lines: first who, and then what.

For those who hear what is written: nothing is aligned, nothing stands for itself by its
colour or its place, and a text of several lines is one line all the same, so that no
line can be taken for somebody else's.
"""

import re

from chatd.text.safe import clean
from client.commands.workspace import Workspace
from client.model.entries import Entry, OutboxItem
from client.text.entries import event_text, excerpt, gist, item_entry
from client.text.files import file_text
from client.text.styles import Line, plain

_WRITTEN = "written"
_LINE_END = " / "


def one_line(text: str) -> str:
    """Return text of any number of lines as one line, clean."""
    parts = clean(text, is_multiline=True).split("\n")
    return _LINE_END.join(part.strip() for part in parts if part.strip())


def entry_line(
    entry: Entry, *, is_named: bool = False, mark: str = "", quoted: Entry | None = None
) -> str:
    """Return an entry as one line: who, where if that is not here, and what."""
    who, chat = clean(entry.sender), clean(entry.chat)
    if not entry.is_talk:
        event = event_text(entry)
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
    """Return a line of a command as text, without what is there only for the eye."""
    if any(style == "class:divider" for style, _ in line):
        return plain(line).strip("─ ")
    if any(style == _WRITTEN for style, _ in line):
        parts = (text if style == _WRITTEN else _narrow(text) for style, text in line)
        return "".join(parts).strip()
    return _narrow(plain(line)).strip()


def _narrow(text: str) -> str:
    return re.sub("  +", "  ", text)


class PlainWorkspace(Workspace):
    """A workspace that says everything in plain lines."""

    def say(self, *texts: str) -> None:
        """Show what the program has to say, a line for each text."""
        self.frontend.show([(_WRITTEN, one_line(text))] for text in texts)

    def fail(self, text: str) -> None:
        """Show what went wrong."""
        self.say(f"error: {text}")

    def lines_of(
        self, entry: Entry, *, is_named: bool = False, mark: str = ""
    ) -> list[Line]:
        """Return an entry as it is shown here."""
        chat = self.model.chats.get(entry.chat)
        quoted = chat.entry(entry.reply_to) if chat and entry.reply_to else None
        text = entry_line(entry, is_named=is_named, mark=mark, quoted=quoted)
        return [[(_WRITTEN, text)]]

    def lines_of_item(self, item: OutboxItem) -> list[Line]:
        """Return something of one's own that waits or was refused, as it is shown."""
        mark = ""
        if item.state == "refused":
            mark = f"(not sent: {item.reason or 'refused'})"
        elif item.state == "waiting":
            mark = f"(waiting: {item.reason})" if item.reason else "(waiting)"
        entry = item_entry(item, self.model.me)
        return self.lines_of(entry, is_named=item.chat != self.current, mark=mark)

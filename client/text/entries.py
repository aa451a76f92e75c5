"""Formatting of entries: messages and events as lines, for every frontend.

Lines come out clean (``chatd.text.safe``): this is the one place where text from others
becomes what is shown. Programs read ``entry_json``, where the text is the original.
"""

import json
from collections.abc import Sequence

from msgspec import Struct

from chatd.protocol.messages import FileInfo
from chatd.text.events import event_sentence
from chatd.text.safe import anchored, clean, pad, width, wrap
from client.model.entries import Entry, OutboxItem
from client.text.files import file_text
from client.text.styles import Fragment, Line, colour_of
from client.text.times import DEFAULT_TIME_FORMAT, format_day, format_time

NAME_CELLS = 10
MIN_TEXT_CELLS = 24
QUOTE_CELLS = 30

# Code points read per cell of an excerpt: in any script, more than are shown.
_READ_PER_CELL = 20


class Look(Struct, frozen=True, kw_only=True):
    """Options for the format of lines.

    Attributes:
        columns: The width of the terminal; 0 does not wrap.
        time_format: For strftime.
        me: The user's own name.
    """

    columns: int = 0
    time_format: str = DEFAULT_TIME_FORMAT
    me: str = ""


def entry_lines(
    entry: Entry,
    look: Look,
    *,
    is_named: bool = False,
    is_mention: bool = False,
    mark: str = "",
    quoted: Entry | None = None,
) -> list[Line]:
    """Return an entry as styled lines.

    Args:
        entry: A message or an event.
        look: The format.
        is_named: Whether the line names the entry's chat.
        is_mention: Whether it mentions the reader.
        mark: A remark behind it, such as ``(waiting)``.
        quoted: The entry that it replies to, if that is known.
    """
    when: Line = [("class:time", format_time(entry.time_ms, look.time_format) + " ")]
    if not entry.is_message:
        place = [("class:address", f"{clean(entry.chat)} ")] if is_named else []
        event = f"-- {event_sentence(entry)}"
        return _compose(when + place, event, "class:event", look, mark)
    info = entry.file
    file_line = f"{file_text(info)}  /get {entry.seq}" if info else ""
    text, style = _body(entry, quoted, file_line)
    if is_mention:
        style = "class:mention"
    if entry.kind == "action":
        star: Line = [("", "* "), _name(entry.sender)]
        place = [("class:address", f"{clean(entry.chat)} ")] if is_named else []
        return _compose([*when, *place, *star, ("", " ")], text, style, look, mark)
    who = _who(entry) if is_named else _column(entry.sender)
    return _compose(when + who, text, style, look, mark)


def item_lines(item: OutboxItem, look: Look, *, is_named: bool = False) -> list[Line]:
    """Return an item of the outbox as styled lines, with its state if not sent."""
    if item.state == "refused":
        mark = f"(not sent: {clean(item.reason or 'refused')})"
    elif item.state == "waiting":
        mark = f"(waiting: {clean(item.reason)})" if item.reason else "(waiting)"
    else:
        mark = ""
    entry = item_entry(item, look.me)
    return entry_lines(entry, look, is_named=is_named, mark=mark)


def item_entry(item: OutboxItem, me: str) -> Entry:
    """Return the entry that an item of the outbox is, or will be."""
    return Entry(
        chat=item.chat,
        seq=item.seq or 0,
        prev=0,
        sender=me,
        time_ms=item.time_ms or item.created_ms,
        kind=item.kind,
        text=item.text,
        reply_to=item.reply_to,
        key=item.key,
    )


def excerpt(text: str, size: int = QUOTE_CELLS) -> str:
    """Return the beginning of a text on one line, clean."""
    part = text.lstrip()[: size * _READ_PER_CELL]
    is_whole = len(part) == len(text.lstrip())
    part = " ".join(clean(part).split())
    if is_whole and width(part) <= size:
        return part
    return wrap(part, size - 1)[0].rstrip() + "…"


def gist(entry: Entry) -> str:
    """Return the text of an entry; of a file without a caption, the file's name."""
    return entry.text or (entry.file.name if entry.file else "")


def entry_text(entry: Entry, look: Look, *, is_day_shown: bool = False) -> str:
    """Return an entry as plain text for a pipe; its further lines are indented.

    A file shows the number that ``chat get`` takes.
    """
    when = format_time(entry.time_ms, look.time_format)
    if is_day_shown:
        when = f"{format_time(entry.time_ms, '%Y-%m-%d')} {when}"
    if not entry.is_message:
        return f"{when} * {event_sentence(entry)}"
    info = entry.file
    file_line = f"[file {entry.seq}] {file_text(info)}" if info else ""
    text = _body(entry, None, file_line)[0].replace("\n", "\n    ")
    if entry.kind == "action":
        return f"{when} * {clean(entry.sender)} {text}"
    return f"{when} {clean(entry.sender)}: {text}"


def entry_json(entry: Entry) -> str:
    """Return an entry as one line of JSON in ASCII; the text is the original."""
    members = {
        "chat": entry.chat,
        "seq": entry.seq,
        "prev": entry.prev,
        "from": entry.sender,
        "time": entry.time_ms,
        "kind": entry.kind,
        "text": entry.text if entry.is_message or entry.text else None,
        "reply_to": entry.reply_to,
        "by": entry.by,
        "topic": entry.topic,
        "visibility": entry.visibility,
        "edited": entry.edited_ms,
        "deleted": entry.is_deleted or None,
        "target": entry.target,
        "file": file_json(entry.file) if entry.file else None,
    }
    return json.dumps({k: v for k, v in members.items() if v is not None})


def file_json(info: FileInfo) -> dict[str, str | int]:
    """Return a file as the members of a JSON object; the name is the original."""
    return {
        "id": info.id,
        "name": info.name,
        "size": info.size,
        "sha256": info.sha256,
    }


def divider(text: str, look: Look) -> Line:
    """Return a line across the screen with a title, which must be clean."""
    size = (look.columns or 80) - 1
    title = f"── {text} " if text else ""
    return [("class:divider", title + "─" * max(2, size - width(title)))]


def day_divider(time_ms: int, look: Look) -> Line:
    """Return the line between two days."""
    return divider(format_day(time_ms), look)


def notice_lines(text: str, look: Look, style: str = "class:notice") -> list[Line]:
    """Return a message of the program itself as styled lines."""
    size = max(MIN_TEXT_CELLS, look.columns - 4) if look.columns else 0
    text = clean(text, is_multiline=True)
    rows = wrap(text, size, is_breaking=False) if size else text.split("\n")
    heads = ["-- ", *["   "] * (len(rows) - 1)]
    return [[(style, head + row)] for head, row in zip(heads, rows, strict=True)]


def table_lines(
    rows: Sequence[tuple[str, str]], look: Look, first_cells: int = 0
) -> list[Line]:
    """Return two columns, the second wrapped; both must be clean.

    Args:
        rows: The columns of each row.
        look: The format.
        first_cells: The least width of the first column.
    """
    start = 4 + max([first_cells, *(width(first) for first, _ in rows)])
    size = max(MIN_TEXT_CELLS, look.columns - 1 - start) if look.columns else 0
    lines: list[Line] = []
    for first, second in rows:
        parts = wrap(second, size) if size else [second]
        lines.append([("", pad(f"  {first}", start)), ("class:notice", parts[0])])
        lines += [[("", " " * start), ("class:notice", part)] for part in parts[1:]]
    return lines


def _body(entry: Entry, quoted: Entry | None, file_line: str = "") -> tuple[str, str]:
    if entry.is_deleted:
        return "(deleted)", "class:event"
    text = clean(entry.text, is_multiline=True).rstrip("\n")
    if entry.kind == "file" and not file_line:
        text = f"[file] {text}"
    if entry.edited_ms is not None:
        text += " (changed)"
    if entry.reply_to is not None:
        of = f"{clean(quoted.sender)}: {excerpt(gist(quoted))}" if quoted else "earlier"
        text = f"[re {of}] {text}"
    if file_line:
        text = "\n".join(filter(None, [text, file_line]))
    return text, ""


def _name(sender: str) -> Fragment:
    return (colour_of(sender), anchored(clean(sender)))


def _column(sender: str) -> Line:
    name = anchored(clean(sender))
    return [(colour_of(sender), name), ("", pad(name, NAME_CELLS)[len(name) :] + " ")]


def _who(entry: Entry) -> Line:
    chat, sender = clean(entry.chat), clean(entry.sender)
    if chat == f"@{sender}":
        address = anchored(chat)
        return [(f"class:address {colour_of(entry.sender)}", address), ("", ": ")]
    return [("class:address", f"{anchored(chat)} "), _name(entry.sender), ("", ": ")]


def _compose(
    head: Line, text: str, style: str, look: Look, mark: str = ""
) -> list[Line]:
    """Return head and text as lines, with further lines of text indented."""
    start = sum(width(part) for _, part in head)
    # The last column stays free: terminals differ in what follows a full line.
    size = look.columns - 1 - start
    if not look.columns:
        rows = text.split("\n")
    elif size >= MIN_TEXT_CELLS:
        rows = wrap(text, size, is_breaking=False)
    else:
        start = 4
        rows = wrap(text, max(4, look.columns - 5), is_breaking=False)
        if width(rows[0]) > size:
            rows.insert(0, "")
    lines: list[Line] = [[*head, (style, rows[0])]]
    lines += [[("", " " * start), (style, row)] for row in rows[1:]]
    if mark:
        lines[-1].append(("class:mark", f"  {mark}"))
    return lines


def typing_text(names: Sequence[str]) -> str:
    """Return who is typing, in few words; "" if there are no names."""
    match [clean(name) for name in names]:
        case []:
            return ""
        case [name]:
            return f"{name} is typing"
        case [one, two]:
            return f"{one} and {two} are typing"
        case many:
            return f"{len(many)} people are typing"

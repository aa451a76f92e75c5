"""Renders items of the timeline as rows: messages, events, outbox items, separators.

Rows are ready to draw: wrapped, harmless, and never wider than the window less one
cell, whether cells are counted by code point or by cluster. All text of other users
passes ``chatd.text.safe.display`` here, and only here.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from msgspec import Struct

from chatd.protocol.messages import FileInfo
from chatd.text.events import event_sentence
from chatd.text.safe import anchored, display, fit
from client.model.chat import mention_of
from client.model.entries import Entry, OutboxItem, Transfer
from client.terminal.hyperlinks import split_line, to_line
from client.text.entries import NAME_CELLS, excerpt, gist, item_entry
from client.text.files import outcome_text, progress_line, size_text, type_of
from client.text.styles import Line, colour_of
from client.text.times import format_day, format_time, local
from client.text.wrapping import Piece, Row, cells, clip, mend, wrap_pieces
from client.ui.messages.body import MAX_ROWS, MENTION, SHOWN_ROWS, body_rows, fold
from client.ui.messages.rowstyle import GUTTER_CELLS, RowStyle, time_cells

MAX_NAME_CELLS = 40
_MIN_FIRST_CELLS = 12
_NOTICE_INDENT = 3
_NO_SIGN = Piece("", " ")
_DELETED = Piece("class:deleted", "(deleted)")


class EntryContext(Struct, frozen=True, kw_only=True):
    """The context of an entry, as far as its rows show it.

    Attributes:
        is_continued: Whether it is in one group with the message right above, so that
            the sender is not named again.
        is_timed: Whether its time is shown.
        quoted: The entry that it replies to, if that is loaded.
        is_read: Whether to show that the other user has read it.
        transfer: The download of its file.
        is_unfolded: Whether all of it is shown, however long it is.
    """

    is_continued: bool = False
    is_timed: bool = True
    quoted: Entry | None = None
    is_read: bool = False
    transfer: Transfer | None = None
    is_unfolded: bool = False


ALONE = EntryContext()


def entry_rows(
    entry: Entry, style: RowStyle, around: EntryContext = ALONE
) -> list[Line]:
    """Return an entry of a log as rows, at least one."""
    if not entry.is_message:
        return _lines(_event_rows(entry, style, around), style)
    is_mention = _mentions(entry, style.me)
    sign = Piece(MENTION, "!") if is_mention else _NO_SIGN
    rows = _talk_rows(entry, style, around, sign, MENTION if is_mention else "")
    if entry.edited_ms is not None and not entry.is_deleted and not style.is_bare:
        _append(rows, Piece("class:edited", "(changed)"), style)
    if around.is_read and not style.is_bare:
        _append(rows, Piece("class:receipt", "(read)"), style)
    return _lines(rows, style)


def named_row(line: Line, sender: str, style: RowStyle) -> Line:
    """Return a row of a message with its sender's name.

    It is for the first visible row, if the row with the name has been scrolled away.
    Stacked rows are returned unchanged: they have no column for the name.
    """
    if style.is_stacked:
        return line
    start = GUTTER_CELLS + time_cells(style.time_format) + 1
    before, text = split_line(line, style.indent)
    head = clip([Piece(*part) for part in before], start)
    name = _padded(clip(_name(sender), NAME_CELLS), style.indent - start)
    return to_line(mend([*head, *name]), is_linked=False) + text


def item_rows(
    item: OutboxItem, style: RowStyle, around: EntryContext = ALONE
) -> list[Line]:
    """Return an item of the outbox as rows: it waits, was refused, or was just sent."""
    sign, said = _NO_SIGN, ""
    if item.state == "refused":
        sign = Piece("class:failed", "x")
        said = f"(not sent: {item.reason or 'it was refused'}; /retry or /discard)"
    elif item.state == "waiting":
        sign = Piece("class:waiting", "~")
        said = f"(waiting: {item.reason})" if item.reason else ""
    rows = _talk_rows(item_entry(item, style.me), style, around, sign)
    if said and not style.is_bare:
        rows += _indented(_wrapped(said, sign.style, style), style)
    return _lines(rows, style)


def transfer_rows(
    transfer: Transfer, style: RowStyle, around: EntryContext = ALONE
) -> list[Line]:
    """Return an upload, which has no entry yet, as rows."""
    is_lost = transfer.state in ("failed", "cancelled")
    sign = Piece("class:failed", "x") if is_lost else Piece("class:waiting", "~")
    head = _head(_name(style.me), "", style, around, sign)
    body = _transfer_rows(transfer, style, head.first)
    return _lines(_joined(head, body, style), style)


def notice_rows(line: Line, style: RowStyle) -> list[Line]:
    """Return a line of a notice as rows, wrapped if it is too long."""
    pieces = [Piece(part_style, display(text)) for part_style, text in line]
    text = "".join(piece.text for piece in pieces)
    if cells(text) <= style.limit:
        return _lines([mend(pieces)], style)
    indent = len(text) - len(text.lstrip(" ")) + _NOTICE_INDENT
    indent = min(indent, style.limit // 2)
    size = style.limit - indent
    # The first row could be wider, as it is not indented; that is not worth a rule.
    rows = list(wrap_pieces(pieces, size))
    blank = Piece("", " " * indent)
    return _lines([rows[0], *([blank, *row] for row in rows[1:])], style)


# Separators ---------------------------------------------------------------------------


def day_row(time_ms: int, style: RowStyle) -> Line:
    """Return the separator before the first entry of a day."""
    day = local(time_ms).date()
    text = format_day(time_ms)
    if style.today is not None and day == style.today:
        text = f"Today, {text}"
    elif style.today is not None and day == style.today - timedelta(days=1):
        text = f"Yesterday, {text}"
    return rule_row(text, "class:day", style)


def new_row(count: int, style: RowStyle) -> Line:
    """Return the unread marker; a count of 1,000 or more is shown as "1,000+"."""
    how_many = "" if count <= 0 else f" ({count})" if count < 1_000 else " (1,000+)"
    return rule_row(f"new{how_many}", "class:new", style)


def gap_row(style: RowStyle) -> Line:
    """Return the separator at a gap, where entries are not loaded."""
    return rule_row("not loaded yet", "class:gap", style)


def rule_row(text: str, name: str, style: RowStyle) -> Line:
    """Return a horizontal rule with a text, which must be in the display form."""
    title = f"── {text} "
    rule = title + "─" * max(2, style.limit - cells(title))
    return to_line(clip([Piece(name, rule)], style.limit), False)


# Parts of an entry --------------------------------------------------------------------


class _Head(Struct, frozen=True):
    """The head of an entry: its sign, time and name.

    Attributes:
        row: The pieces before the first row of text, or above it.
        is_above: Whether they are a row of their own.
        first: The cells that are left for text on the first row.
    """

    row: Row
    is_above: bool
    first: int


def _head(
    name: Sequence[Piece],
    time: str,
    style: RowStyle,
    around: EntryContext,
    sign: Piece = _NO_SIGN,
    *,
    is_short: bool = False,
) -> _Head:
    """Return the head of an entry; ``is_short`` keeps it beside the text always."""
    if style.is_bare:
        return _Head([], False, style.text_size)
    gutter = [sign, Piece("", " ")]
    if style.is_stacked and around.is_continued:
        return _Head(_padded(gutter, style.indent), False, style.text_size)
    row = [*gutter, Piece("class:time", time if around.is_timed else "")]
    row = _padded(row, GUTTER_CELLS + time_cells(style.time_format))
    row += [Piece("", " "), *([] if around.is_continued else name)]
    if style.is_stacked and not is_short:
        return _Head(row, True, style.text_size)
    row = _padded([*row, Piece("", " ")], 0 if style.is_stacked else style.indent)
    first = style.limit - _cells(row)
    is_beside = is_short or first >= _MIN_FIRST_CELLS
    return _Head(row, not is_beside, max(1, first) if is_beside else style.text_size)


@lru_cache(maxsize=1_024)
def _name(name: str) -> Sequence[Piece]:
    """Return a user's name as pieces, so that right-to-left names move nothing else."""
    shown = display(name)
    colour = colour_of(name)
    if cells(shown) > MAX_NAME_CELLS:
        shown = fit(shown, MAX_NAME_CELLS).rstrip()
    return mend([Piece(f"class:name {colour}", anchored(shown))])


def _joined(head: _Head, body: Sequence[Row], style: RowStyle) -> list[Row]:
    """Return the rows of an entry: its head, and its text, of at least one row."""
    if head.is_above:
        return [head.row, *_indented(body, style)]
    return [[*head.row, *body[0]], *_indented(body[1:], style)]


def _event_rows(entry: Entry, style: RowStyle, around: EntryContext) -> list[Row]:
    time = format_time(entry.time_ms, style.time_format)
    sign: Row = [Piece("class:event", "--")]
    head = _head(sign, time, style, ALONE, is_short=True)
    body = _wrapped(event_sentence(entry), "class:event", style, head.first)
    if len(body) > MAX_ROWS and not around.is_unfolded:
        body = fold(body, len(body) - SHOWN_ROWS, style)
    return _joined(head, body, style)


def _talk_rows(
    entry: Entry, style: RowStyle, around: EntryContext, sign: Piece, base: str = ""
) -> list[Row]:
    time = format_time(entry.time_ms, style.time_format)
    name = _name(entry.sender)
    lead: Row = []
    is_action = entry.kind == "action"
    if is_action and not style.is_bare:
        name, lead = [Piece("", "*")], [*name, Piece("", " ")]
    head = _head(name, time, style, around, sign, is_short=is_action)
    if entry.is_deleted:
        body = [*wrap_pieces([*lead, _DELETED], style.text_size, head.first)]
        return _joined(head, body, style)
    before: list[Row] = []
    if entry.reply_to is not None and not style.is_bare:
        before.append(_reply_row(around.quoted, head.first))
    if entry.file is not None:
        first = style.text_size if before else head.first
        before += _file_rows(entry, entry.file, style, around, first)
    if before and not entry.text:
        return _joined(head, before, style)
    body = body_rows(
        entry.text,
        style,
        base=base,
        lead=lead,
        first=head.first,
        before=before,
        is_unfolded=around.is_unfolded,
    )
    return _joined(head, body, style)


def _reply_row(quoted: Entry | None, size: int) -> Row:
    text = "re an earlier message"
    if quoted is not None:
        said = "(deleted)" if quoted.is_deleted else excerpt(gist(quoted), size)
        text = f"re {quoted.sender}: {said}"
    shown = display(text)
    if cells(shown) > size:
        shown = fit(shown, size)
    return mend([Piece("class:reply", shown)])


def _file_rows(
    entry: Entry, info: FileInfo, style: RowStyle, around: EntryContext, first: int
) -> list[Row]:
    about = [size_text(info.size), type_of(info.name), f"/get {entry.seq}"]
    pieces = [
        Piece("class:file", display(info.name)),
        Piece("", "  " + "  ".join(display(part) for part in about if part)),
    ]
    rows = list(wrap_pieces(pieces, style.text_size, first))
    if around.transfer is not None and not style.is_bare:
        rows += _transfer_rows(around.transfer, style, style.text_size)
    return rows


def _transfer_rows(transfer: Transfer, style: RowStyle, first: int) -> list[Row]:
    if not transfer.is_over:
        text = progress_line(transfer, min(first, style.text_size) + 1)
        return [mend([Piece("class:progress", text)])]
    name = "class:good" if transfer.state == "done" else "class:failed"
    return _wrapped(outcome_text(transfer), name, style, first)


def _wrapped(
    text: str, name: str, style: RowStyle, first: int | None = None
) -> list[Row]:
    return list(wrap_pieces([Piece(name, display(text))], style.text_size, first))


def _indented(rows: Iterable[Row], style: RowStyle) -> list[Row]:
    blank = Piece("", " " * style.indent)
    return [[blank, *row] for row in rows]


def _append(rows: list[Row], piece: Piece, style: RowStyle) -> None:
    """Append a remark to the last row, or below it if it does not fit."""
    row = [*rows[-1], Piece("", "  "), piece]
    if _cells(row) <= style.limit:
        rows[-1] = row
    else:
        rows += _indented([[piece]], style)


def _mentions(entry: Entry, me: str) -> bool:
    if not me or entry.sender == me or entry.is_deleted:
        return False
    return mention_of(me).search(entry.text) is not None


def _cells(row: Iterable[Piece]) -> int:
    return sum(cells(piece.text) for piece in row)


def _padded(row: Row, size: int) -> Row:
    missing = size - _cells(row)
    return [*row, Piece("", " " * missing)] if missing > 0 else row


def _lines(rows: Iterable[Row], style: RowStyle) -> list[Line]:
    lines: list[Line] = []
    for row in rows:
        fitted = row if _cells(row) <= style.limit else clip(row, style.limit)
        fitted = mend(fitted)
        if style.is_bare:
            fitted = [Piece("", piece.text) for piece in fitted]
        lines.append(to_line(fitted, style.osc8))
    return lines

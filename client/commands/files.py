"""Commands for files and transfers: /send, /files, /get, /transfers and /cancel."""

from collections.abc import Iterator
from itertools import islice

from chatd.protocol.messages import FileInfo, FileItem
from chatd.text.safe import clean
from client.commands.context import CommandContext
from client.commands.file_list import (
    MAX_SEARCHED,
    NoSuchFileError,
    as_seq,
    files_of,
    find_file,
    find_seq,
    has_name,
    is_for,
    page_of,
)
from client.commands.local_paths import (
    Target,
    check_source,
    find_target,
    is_folder_name,
    split_source,
    typed_path,
)
from client.commands.registry import Group, Registry
from client.commands.workspace import CommandError, FilesListed, Workspace
from client.model.entries import Entry, Transfer
from client.model.model import Model
from client.text.files import file_rows, transfer_text
from client.text.styles import Line
from client.text.times import format_ago

PAGE = 50
MAX_OVER = 10
"""How many of the transfers that are over are listed."""

MAX_LOOKED_AT = 2_000
"""How many of the newest entries are searched for file names to complete."""

Found = tuple[str, int, FileInfo]
"""A chat, the seq of the message, and the file that came with it."""

_FILES = Group("Files")


# Sending ------------------------------------------------------------------------------


@_FILES.command(
    "send",
    "PATH [chat]",
    "send a file to this chat, or to another one",
    "path",
    "chat",
    more=(
        "It goes on by itself after an interruption, also after the end of this "
        "program. The last word is a chat if it begins with # or @."
    ),
)
async def _send(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    if not args:
        raise CommandError("say which file: /send ~/notes.txt, or /send a.txt @bob")
    path, to = split_source(args)
    chat = workspace.find_chat(to) if to else context.opened()
    transfer = await workspace.link.transfers.send_file(chat, check_source(path))
    workspace.begun.add(transfer.id)


# Fetching -----------------------------------------------------------------------------


@_FILES.command(
    "get",
    "[N|NAME] [PATH]",
    "fetch a file; alone, the newest that others have sent here",
    "file",
    "path",
    more=(
        "N is the number that is shown with the file. Without PATH it is saved to "
        "your folder of downloads; nothing is ever overwritten."
    ),
)
async def _get(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    (chat, seq, info), path = (
        await _resolve_file(context, args) if args else (await _newest(context), "")
    )
    target = find_target(typed_path(path), is_folder_name(path)) if path else Target()
    transfer = await workspace.link.transfers.get_file(
        chat, seq, info, folder=target.folder, path=target.path
    )
    workspace.begun.add(transfer.id)


async def _newest(context: CommandContext) -> Found:
    workspace = context.workspace
    chat = context.opened()
    for found, sender in _in_memory(context.workspace.model, chat):
        if is_for(workspace.model.me, chat, sender):
            return found
    item = await find_file(workspace.link.request, chat, None, workspace.model.me)
    return chat, item.seq, item.file


async def _resolve_file(context: CommandContext, args: str) -> tuple[Found, str]:
    """Return the file that ``args`` names, and the path after it, "" without one."""
    workspace = context.workspace
    number, _, path = args.partition(" ")
    seq = as_seq(number)
    if seq is not None and (found := await _numbered(context, seq)) is not None:
        return found, path.strip()
    readings = list(_splits(args))
    for found, _ in _known(context):
        for name, path in readings:
            if has_name(found[2].name, name):
                return found, path
    chat = context.opened()
    async for item in files_of(workspace.link.request, chat, MAX_SEARCHED):
        for name, path in readings:
            if has_name(item.file.name, name):
                return (chat, item.seq, item.file), path
    raise NoSuchFileError(
        f"there is no file {number if seq else args} in {chat}: /files lists them"
    )


def _splits(args: str) -> Iterator[tuple[str, str]]:
    """Yield each way to split ``args`` into name and path: both may contain spaces."""
    if args[0] in "'\"" and args.count(args[0]) > 1:
        name, _, path = args[1:].partition(args[0])
        yield name, path.strip()
    yield args, ""
    for at in range(len(args) - 1, 0, -1):
        if args[at] == " ":
            yield args[:at].rstrip(), args[at:].strip()


async def _numbered(context: CommandContext, seq: int) -> Found | None:
    """Return the file with a seq: in the last list, the open chat, or another chat."""
    workspace = context.workspace
    for found, _ in _known(context):
        if found[1] == seq:
            return found
    if context.current is not None:
        item = await find_seq(workspace.link.request, context.current, seq)
        if item is not None:
            return context.current, seq, item.file
    return None


def _known(context: CommandContext) -> Iterator[tuple[Found, str]]:
    """Yield the files that this client knows, with their senders.

    Those that were listed last in another chat come first, then the open chat's, then
    the rest; of each chat the newest first.
    """
    workspace = context.workspace
    listed = workspace.files_listed
    if listed is not None and listed.chat != context.current:
        yield from _in_list(listed)
    if context.current is not None:
        yield from _in_memory(context.workspace.model, context.current)
    if listed is not None and listed.chat == context.current:
        yield from _in_list(listed)
    for chat in workspace.model.chats:
        if chat != context.current:
            yield from _in_memory(context.workspace.model, chat)


def _in_list(listed: FilesListed) -> Iterator[tuple[Found, str]]:
    for item in listed.items:
        yield (listed.chat, item.seq, item.file), item.from_


def _in_memory(model: Model, address: str) -> Iterator[tuple[Found, str]]:
    chat = model.chats.get(address)
    for entry in reversed(chat.entries if chat else []):
        if entry.file is not None and not entry.is_deleted:
            yield (address, entry.seq, entry.file), entry.sender


def known_names(workspace: Workspace) -> list[str]:
    """Return the displayed names of files: of the last list, and of the newest entries.

    The work is bounded, as a key press waits for it.
    """
    listed = workspace.files_listed
    infos = [item.file for item in listed.items] if listed else []
    late = islice(_newest_entries(workspace), MAX_LOOKED_AT)
    infos += [e.file for e in late if e.file is not None and not e.is_deleted]
    return list(dict.fromkeys(clean(info.name) for info in infos))


def _newest_entries(workspace: Workspace) -> Iterator[Entry]:
    """Yield the entries in memory: the open chat's, newest first, then the others'."""
    if workspace.chat is not None:
        yield from reversed(workspace.chat.entries)
    for address, chat in workspace.model.chats.items():
        if address != workspace.current:
            yield from reversed(chat.entries)


# Listing ------------------------------------------------------------------------------


@_FILES.command(
    "files",
    "[chat|more]",
    "list the files of a chat, the newest first",
    "chat",
    words={0: ("more",)},
    more=f"{PAGE} at a time: /files more lists those before.",
)
async def _files(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    before: int | None = None
    if args == "more":
        listed = workspace.files_listed
        if listed is None or not listed.is_more or not listed.items:
            raise CommandError("there are no more files: /files lists the newest")
        chat, before = listed.chat, listed.items[-1].seq
    else:
        chat = workspace.find_chat(args) if args else context.opened()
    page = await page_of(workspace.link.request, chat, before, PAGE)
    if not page.files:
        workspace.files_listed = None
        workspace.say(
            f"no{' more' if before else ''} files in {chat}: /send PATH sends one"
        )
        return
    workspace.files_listed = FilesListed(chat=chat, items=page.files, is_more=page.more)
    workspace.say(
        f"files in {chat}, {'further back' if before else 'the newest first'}:"
    )
    _show_files(context, page.files)
    more = ", /files more lists older ones" if page.more else ""
    workspace.say(f"/get and a number, or a name, fetches one{more}")


def _show_files(context: CommandContext, items: list[FileItem]) -> None:
    workspace = context.workspace
    rows = file_rows(items, [format_ago(item.time, workspace.now_ms) for item in items])
    workspace.frontend.show([[("", f"   {row}")] for row in rows])


# Transfers ----------------------------------------------------------------------------


@_FILES.command(
    "transfers", "", "list the files that are under way, and what became of others"
)
async def _transfers(context: CommandContext, _: str) -> None:
    workspace = context.workspace
    numbered = list(enumerate(workspace.link.transfers.items, 1))
    over = [number for number, transfer in numbered if transfer.is_over]
    hidden = set(over[:-MAX_OVER])
    if not numbered:
        workspace.say("no files are under way: /send PATH sends one, /get fetches one")
        return
    lines: list[Line] = []
    for number, transfer in numbered:
        if number not in hidden:
            style = "class:error" if transfer.state == "failed" else ""
            mark = ("class:mark", f"{number:>3}. ")
            lines.append([mark, (style, transfer_text(transfer))])
    workspace.frontend.show(lines)
    if len(over) < len(numbered):
        workspace.say("/cancel and a number ends one of those under way")


@_FILES.command(
    "cancel",
    "[N|NAME|all]",
    "give up sending or fetching a file",
    words={0: ("all",)},
    more=(
        "N is the number in /transfers; alone it ends the only one. Nothing of "
        "the file is kept."
    ),
)
async def _cancel(context: CommandContext, args: str) -> None:
    workspace = context.workspace
    numbered = list(enumerate(workspace.link.transfers.items, 1))
    under_way = {n: transfer for n, transfer in numbered if not transfer.is_over}
    if not under_way:
        raise CommandError("no files are under way")
    for transfer in _chosen(under_way, args):
        workspace.link.transfers.cancel(transfer.id)


def _chosen(under_way: dict[int, Transfer], args: str) -> list[Transfer]:
    """Return the transfers named: a number, a name, ``all``, or "" for the only one."""
    if args == "all":
        return list(under_way.values())
    if not args:
        if len(under_way) > 1:
            raise CommandError(
                f"{len(under_way)} files are under way: /transfers numbers them, and "
                "/cancel all ends all"
            )
        return list(under_way.values())
    number = as_seq(args)
    if number in under_way:
        return [under_way[number]]
    named = [each for each in under_way.values() if has_name(each.name, args)]
    if not named:
        raise CommandError(f"nothing under way is {args}: /transfers numbers them")
    return named[-1:]


def register(registry: Registry) -> None:
    """Add the commands of this module."""
    registry.add(*_FILES.commands)

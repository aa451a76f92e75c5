"""Tab completion of the input line: commands, users, rooms, files and paths."""

from collections.abc import Iterable
from functools import partial

from msgspec import Struct

from client.commands.file_list import as_seq
from client.commands.files import known_names
from client.commands.local_paths import expand, is_folder_name, names_in, typed_path
from client.commands.registry import Argument, Registry
from client.commands.slow_folders import look_now
from client.commands.workspace import Workspace

MAX_CANDIDATES = 50


class Candidates(Struct, frozen=True):
    """The completions of the last ``length`` characters before the cursor.

    Attributes:
        length: How many characters are replaced.
        words: At most 50, sorted; of paths only the last part.
        suffix: Added after the word if it is the only one.
    """

    length: int = 0
    words: tuple[str, ...] = ()
    suffix: str = " "

    @property
    def common(self) -> str:
        """The longest prefix that all words share."""
        if not self.words:
            return ""
        first, last = min(self.words), max(self.words)
        size = 0
        while size < min(len(first), len(last)) and first[size] == last[size]:
            size += 1
        return first[:size]


def complete(workspace: Workspace, registry: Registry, before: str) -> Candidates:
    """Return the completions at the cursor, given the text before it."""
    word = before.rpartition("\n")[2].rpartition(" ")[2]
    if before.startswith("/") and not before.startswith("//"):
        if " " not in before:
            return _matching(word, (f"/{name}" for name in registry.names()))
        return _complete_argument(workspace, registry, before, word)
    if word.startswith("@"):
        return _matching(word, (f"@{name}" for name in workspace.people()))
    if word.startswith("#"):
        return _matching(word, _rooms(workspace))
    if not word:
        return Candidates()
    # A bare name at the beginning addresses a user ("bob: "), as is usual on IRC.
    suffix = ": " if word == before else " "
    return _matching(word, workspace.people(), suffix)


def _complete_argument(
    workspace: Workspace, registry: Registry, before: str, word: str
) -> Candidates:
    name, *rest = before[1:].split(" ")
    command = registry.get(name)
    if command is None:
        return Candidates()
    place = len(rest) - 1
    argument = command.argument(place)
    # File names may contain spaces, so all the arguments are completed as one text.
    if command.argument(0) == "path":
        return _complete_source(workspace, " ".join(rest))
    if command.argument(0) == "file":
        return _complete_file(workspace, " ".join(rest))
    offers = _offers(workspace, registry, argument, word) if argument else ()
    return _matching(word, [*command.words.get(place, ()), *offers])


def _offers(
    workspace: Workspace, registry: Registry, argument: Argument, word: str
) -> Iterable[str]:
    at = "@" if word.startswith("@") else ""
    match argument:
        case "command":
            slash = "/" if word.startswith("/") else ""
            return [f"{slash}{name}" for name in registry.names()]
        case "room":
            return _rooms(workspace)
        case "new_room":
            known = {*workspace.model.invites, *workspace.listed} - set(
                workspace.model.chats
            )
            return known or _rooms(workspace)
        case "user":
            return [f"{at}{name}" for name in workspace.people()]
        case "chat":
            return _chats(workspace)
        case "text" | "path" | "file":
            if word.startswith("#"):
                return _rooms(workspace)
            return [f"{at}{name}" for name in workspace.people()] if word else []


def _complete_source(workspace: Workspace, text: str) -> Candidates:
    """Complete a path, or the address after it."""
    found, is_file = look_now(partial(_look_for_source, text), (Candidates(), False))
    return _matching(text.rpartition(" ")[2], _chats(workspace)) if is_file else found


def _look_for_source(text: str) -> tuple[Candidates, bool]:
    """Return the completions of a path, and whether an address is completed instead.

    That is so if the path has none, and the text before the last word is a file.
    """
    found = _paths(text)
    head = text.rpartition(" ")[0].strip()
    return found, bool(head) and not found.words and typed_path(head).is_file()


def _complete_file(workspace: Workspace, text: str) -> Candidates:
    """Complete the name of a file that was sent, or the path to save it to."""
    names = known_names(workspace)
    low = text.lower()
    found = sorted(name for name in names if name.lower().startswith(low))
    if found:
        return Candidates(len(text), tuple(found[:MAX_CANDIDATES]))
    for at in range(len(text) - 1, 0, -1):
        head = text[:at].strip()
        if text[at] == " " and (head in names or as_seq(head) is not None):
            return look_now(partial(_paths, text[at + 1 :]), Candidates())
    return Candidates()


def _paths(text: str) -> Candidates:
    """Return the completions of a path's last part; an open quote is closed, too."""
    quote = text[0] if text[:1] in ("'", '"') else ""
    path = text[len(quote) :]
    if path == "~":
        return Candidates(1, ("~/",), "")
    prefix = "" if is_folder_name(path) else path.rpartition("/")[2]
    folder = path[: len(path) - len(prefix)]
    words = names_in(expand(folder or "."), prefix)[:MAX_CANDIDATES]
    is_folder = len(words) == 1 and is_folder_name(words[0])
    return Candidates(len(prefix), tuple(words), "" if is_folder else f"{quote} ")


def _chats(workspace: Workspace) -> list[str]:
    return [*workspace.model.chats, *(f"@{name}" for name in workspace.people())]


def _rooms(workspace: Workspace) -> list[str]:
    rooms = [address for address in workspace.model.chats if address.startswith("#")]
    return [*rooms, *workspace.model.invites, *workspace.listed]


def _matching(word: str, offers: Iterable[str], suffix: str = " ") -> Candidates:
    low = word.lower()
    found = {offer for offer in offers if offer.startswith(low)}
    if word and not found and word[0] not in "@#/":
        # A chat may be typed without its sign, # or @.
        found = {offer for offer in offers if offer[1:].startswith(low)}
    return Candidates(len(word), tuple(sorted(found)[:MAX_CANDIDATES]), suffix)

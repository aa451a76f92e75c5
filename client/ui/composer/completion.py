"""Completion in the composer: commands and their arguments, names, rooms, emoji.

The same table as for dispatch says what a command takes. A word that begins with ``@``,
``#`` or ``:``, or is a command, is completed as it is typed; any other word only on
request (Tab). All names come from indexes, and no more than 50 are ever offered.
"""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from itertools import islice

from msgspec import Struct
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from chatd.text.safe import display
from client.commands.completion import MAX_CANDIDATES
from client.commands.file_list import as_seq
from client.commands.files import known_names
from client.commands.local_paths import expand, is_folder_name, names_in
from client.commands.registry import Registry
from client.commands.workspace import Workspace
from client.ui.composer import emoji
from client.ui.composer.name_index import NameIndex

MAX_WORD = 128
"""Longer words are not completed."""

MIN_EMOJI = 2
"""How many letters must be typed before emoji are offered without a request."""

# A sign that begins a word, or follows a bracket or quote.
_SIGN = re.compile(r"(?<![\w@#:./])[@#:]")

Offers = list[Completion]


class SlowOffers(Struct, frozen=True):
    """Offers that take time to find: reading a folder, or the table of emoji.

    Attributes:
        find: To be called in a thread; it uses nothing that the event loop changes.
    """

    find: Callable[[], Offers]


class ChatCompleter(Completer):
    """Completes what is typed in a chat.

    Args:
        workspace: Has the open chat, and the files that were listed.
        registry: The commands.
        names: The users and rooms.
    """

    def __init__(
        self, workspace: Workspace, registry: Registry, names: NameIndex
    ) -> None:
        self._workspace = workspace
        self._registry = registry
        self._names = names

    def get_completions(
        self, document: Document, complete_event: CompleteEvent
    ) -> Iterable[Completion]:
        """Yield all offers, also those that take time to find."""
        found = self.find(document, complete_event.completion_requested)
        yield from found.find() if isinstance(found, SlowOffers) else found

    def find(self, document: Document, is_asked: bool) -> Offers | SlowOffers:
        """Return what may replace the word before the cursor.

        Args:
            document: The text and the cursor.
            is_asked: Whether the user requested completion, as opposed to just typing.
        """
        line = document.current_line_before_cursor
        word = line.rpartition(" ")[2]
        if len(word) > MAX_WORD:
            return []
        found: Offers | SlowOffers
        text = document.text
        if text.startswith("/") and not text.startswith("//"):
            found = self._in_command(document, word, is_asked)
        else:
            is_first = is_asked and document.cursor_position == len(word)
            found = self._in_text(word, is_asked, ": " if is_first else " ")
            if not is_asked and found and _is_in_code(document.text_before_cursor):
                return []
        return found if isinstance(found, SlowOffers) else _fitted(found, document)

    # A message ------------------------------------------------------------------------

    def _in_text(
        self, word: str, is_asked: bool, suffix: str = " "
    ) -> Offers | SlowOffers:
        sign = _last_sign(word)
        if sign is None:
            if not word or not is_asked:
                return []
            people = self._names.people(word, MAX_CANDIDATES)
            return _offers(word, people, suffix)
        begun = word[sign:]
        match begun[0]:
            case "@":
                return self._mentions(begun)
            case "#":
                return _offers(begun, self._names.rooms(begun, MAX_CANDIDATES))
            case _:
                return self._emoji(begun, is_asked)

    def _mentions(self, begun: str) -> Offers:
        people = self._names.people(begun[1:], MAX_CANDIDATES)
        return _offers(begun, [f"@{name}" for name in people])

    def _emoji(self, begun: str, is_asked: bool) -> Offers | SlowOffers:
        if len(begun) <= (1 if is_asked else MIN_EMOJI):
            return []
        find = partial(_emoji_offers, begun)
        return find() if emoji.is_loaded() else SlowOffers(find)

    # A command ------------------------------------------------------------------------

    def _in_command(
        self, document: Document, word: str, is_asked: bool
    ) -> Offers | SlowOffers:
        before = document.text_before_cursor
        name, blank, rest = before[1:].partition(" ")
        if not blank:
            return [] if "\n" in name else self._commands(name)
        command = self._registry.get(name)
        if command is None:
            return self._in_text(word, False)
        first, place = command.argument(0), rest.count(" ")
        if first in ("path", "file"):
            return self._files(first, rest, word, is_asked)
        low = word.lower()
        words = [each for each in command.words.get(place, ()) if each.startswith(low)]
        found = _offers(word, words) if word or is_asked else []
        argument = command.argument(place)
        if argument is None:
            others = self._in_text(word, False)
        else:
            others = self._argument(argument, word, is_asked)
        return others if isinstance(others, SlowOffers) else [*found, *others]

    def _commands(self, name: str) -> Offers:
        low = name.lower()
        return [
            Completion(
                f"/{each} ",
                start_position=-len(name) - 1,
                display=f"/{each}",
                display_meta=command.help,
            )
            for each in self._registry.names()
            if each.startswith(low) and (command := self._registry.get(each))
        ][:MAX_CANDIDATES]

    def _argument(
        self, argument: str, word: str, is_asked: bool
    ) -> Offers | SlowOffers:
        if not is_asked and _last_sign(word) != 0 and argument != "text":
            return []
        limit = MAX_CANDIDATES
        match argument:
            case "command":
                slash = "/" if word.startswith("/") else ""
                low = word.removeprefix("/").lower()
                names = (n for n in self._registry.names() if n.startswith(low))
                return _offers(word, (f"{slash}{name}" for name in names))
            case "room":
                return _offers(word, self._names.rooms(word, limit))
            case "new_room":
                return _offers(word, self._names.joinable(word, limit))
            case "user":
                at = word[: word.startswith("@")]
                people = self._names.people(word.removeprefix("@"), limit)
                return _offers(word, (f"{at}{name}" for name in people))
            case "chat":
                return self._chats(word)
            case _:
                return self._in_text(word, is_asked)

    def _chats(self, word: str) -> Offers:
        rooms: list[str] = []
        people: list[str] = []
        if not word.startswith("@"):
            rooms = self._names.rooms(word, MAX_CANDIDATES)
        if not word.startswith("#"):
            people = self._names.people(word.removeprefix("@"), MAX_CANDIDATES)
        return _offers(word, [*rooms, *(f"@{name}" for name in people)])

    def _files(
        self, argument: str, text: str, word: str, is_asked: bool
    ) -> Offers | SlowOffers:
        """Return names of files, which may contain spaces, and what follows them."""
        if argument == "path":
            if word.startswith(("#", "@")) and word != text:
                return self._chats(word)
            return SlowOffers(partial(path_offers, text)) if is_asked else []
        if not is_asked:
            return []
        names = known_names(self._workspace)
        low = text.lower()
        found = [name for name in names if name.lower().startswith(low)]
        if found:
            return _offers(text, found)
        head, _, path = text.partition(" ")
        if as_seq(head) is not None:
            return SlowOffers(partial(path_offers, path))
        behind = (name for name in names if text.startswith(f"{name} "))
        longest = max(behind, key=len, default=None)
        if longest is None:
            return []
        return SlowOffers(partial(path_offers, text[len(longest) + 1 :]))


def path_offers(text: str) -> Offers:
    """Return completions of a path; it reads a folder, so it may take time.

    An open quote is closed after the name of a file.
    """
    quote = text[0] if text[:1] in ("'", '"') else ""
    path = text[len(quote) :]
    if path == "~":
        return [Completion("~/", start_position=-1)]
    prefix = "" if is_folder_name(path) else path.rpartition("/")[2]
    folder = path[: len(path) - len(prefix)]
    names = names_in(expand(folder or "."), prefix)[:MAX_CANDIDATES]
    return [
        Completion(
            name if is_folder_name(name) else f"{name}{quote} ",
            start_position=-len(prefix),
            display=display(name),
        )
        for name in names
    ]


@lru_cache(maxsize=4_096)
def _shown_emoji(text: str) -> str:
    return display(text)


def _emoji_offers(begun: str) -> Offers:
    return [
        Completion(
            f":{name}: ",
            start_position=-len(begun),
            display=f"{_shown_emoji(text)} :{name}:",
        )
        for name, text in emoji.offers(begun[1:], MAX_CANDIDATES)
    ]


def _offers(word: str, offered: Iterable[str], suffix: str = " ") -> Offers:
    return [
        Completion(each + suffix, start_position=-len(word), display=display(each))
        for each in islice(offered, MAX_CANDIDATES)
    ]


def _fitted(offers: Offers, document: Document) -> Offers:
    """Return the offers, without their trailing space if one follows the cursor."""
    if not document.current_char.isspace() or document.current_char == "\n":
        return offers
    return [
        Completion(
            offer.text.removesuffix(" "),
            start_position=offer.start_position,
            display=offer.display,
            display_meta=offer.display_meta,
        )
        for offer in offers
    ]


def _last_sign(word: str) -> int | None:
    """Return the index in a word at which its last name, room or shortcode begins."""
    signs = [found.start() for found in _SIGN.finditer(word)]
    return signs[-1] if signs else None


def _is_in_code(before: str) -> bool:
    return before.count("```") % 2 == 1

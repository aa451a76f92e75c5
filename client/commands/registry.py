"""The command registry: the one table behind help, completion and dispatch."""

import difflib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from client.commands.context import CommandContext
from client.commands.workspace import CommandError

Handler = Callable[[CommandContext, str], Awaitable[None]]

Rows = Sequence[tuple[str, str]]
"""Rows of the help: what to type, and what it does."""

NOTES: Rows = (
    ("#room or @user", "alone on a line, open that chat; nothing is sent"),
    ("//text", "send a text that begins with /"),
)
"""What may be typed besides commands and messages."""

Argument = Literal[
    "chat", "room", "new_room", "user", "command", "text", "path", "file"
]
"""The kind of an argument, so that Tab knows what to offer for it."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """One command.

    Attributes:
        name: Without the slash.
        help: What it does, in one line that begins with a verb.
        handler: Executes it, given the text after the name.
        usage: The arguments as help shows them; optional parts in brackets.
        arguments: The kind of each argument; the last applies to all that follow.
        words: By place, counted from 0, the fixed words that may stand there.
        aliases: Other names of it.
        group: The heading under which help lists it.
        more: Further details, for ``/help NAME``.
    """

    name: str
    help: str
    handler: Handler
    usage: str = ""
    arguments: tuple[Argument, ...] = ()
    words: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    group: str = "Other"
    more: str = ""

    @property
    def title(self) -> str:
        """The command with its arguments, as it is typed."""
        return f"/{self.name} {self.usage}".rstrip()

    def argument(self, place: int) -> Argument | None:
        """Return the kind of the argument at a place, counted from 0.

        None if there is no argument there, or only one of fixed words.
        """
        if not self.arguments:
            return None
        argument = self.arguments[min(place, len(self.arguments) - 1)]
        return None if argument == "text" and place in self.words else argument


class Group:
    """The commands under one heading of the help, in its order.

    Attributes:
        heading: The heading.
        commands: Those that were added so far.
    """

    def __init__(self, heading: str) -> None:
        self.heading = heading
        self.commands: list[Command] = []

    def command(
        self,
        name: str,
        usage: str,
        help: str,
        *arguments: Argument,
        words: Mapping[int, tuple[str, ...]] | None = None,
        aliases: tuple[str, ...] = (),
        more: str = "",
    ) -> Callable[[Handler], Handler]:
        """Add the function below as a command; see ``Command`` for its details."""

        def add(handler: Handler) -> Handler:
            self.commands.append(
                Command(
                    name=name,
                    usage=usage,
                    help=help,
                    handler=handler,
                    arguments=arguments,
                    words=words or {},
                    aliases=aliases,
                    group=self.heading,
                    more=more,
                )
            )
            return handler

        return add


class Registry:
    """All commands, by name and alias, in the order in which help shows them."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._names: dict[str, Command] = {}

    def add(self, *commands: Command) -> None:
        """Add commands.

        Raises:
            ValueError: A name or an alias is taken already.
        """
        for command in commands:
            for name in (command.name, *command.aliases):
                if name in self._names:
                    raise ValueError(f"there are two commands /{name}")
                self._names[name] = command
            self._commands[command.name] = command

    def all(self) -> list[Command]:
        """Return every command once."""
        return list(self._commands.values())

    def groups(self) -> dict[str, list[Command]]:
        """Return the commands by the heading under which help lists them."""
        found: dict[str, list[Command]] = {}
        for command in self.all():
            found.setdefault(command.group, []).append(command)
        return found

    def names(self) -> list[str]:
        """Return every name and alias, without slash, sorted."""
        return sorted(self._names)

    def find(self, name: str) -> Command:
        """Return the command of that name; an abbreviation is not enough.

        Raises:
            CommandError: There is none; the text suggests similar names.
        """
        command = self.get(name)
        if command is None:
            raise CommandError(
                f"{self.missing(name)} (nothing was sent; a text that begins with / "
                "is written with two: //)"
            )
        return command

    def get(self, name: str) -> Command | None:
        """Return the command of that name, None if there is none."""
        return self._names.get(name.lower())

    def missing(self, name: str) -> str:
        """Return the error text for an unknown command, with similar names."""
        return f"there is no command /{name.lower()}: {self._hint(name.lower())}"

    def _hint(self, name: str) -> str:
        close = [each for each in self.names() if name and each.startswith(name)]
        close = close or difflib.get_close_matches(name, self._names, 1, 0.6)
        if not close:
            return "/help lists what there is"
        return f"did you mean {' or '.join(f'/{each}' for each in close[:3])}?"

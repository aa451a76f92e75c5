"""First-run setup: asks for the server, trust in its key, and the login or account.

Everything is asked in plain words, one thing at a time, and nothing is asked that is
known already. While the user thinks there is no connection open: each step makes its
own. At the end the login is remembered by a token, so that the next start asks nothing.
"""

import asyncio
import platform
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from msgspec import Struct

from chatd import __version__
from chatd.protocol.errors import (
    AuthFailedError,
    BadInviteError,
    BadNameError,
    NameTakenError,
    TemporaryError,
    WeakPasswordError,
)
from chatd.protocol.links import format_host_port
from chatd.protocol.messages import Hello
from chatd.protocol.names import parse_user_name
from client.cli.questions import (
    MAX_TRIES,
    NoAnswerError,
    Questions,
    ask_until,
    ask_yes_or_no,
)
from client.errors import ConnectError, UnknownKeyError
from client.net.address import ServerAddress, parse_server_address
from client.net.connect import connect
from client.net.connection import Connection
from client.net.login import LOGIN_SECONDS, Introduction, log_in, register
from client.storage.paths import Paths
from client.storage.pins import PinStore
from client.storage.saved_logins import SavedLogins

T = TypeVar("T")

PROGRAM = f"chat {__version__}"
MIN_PASSWORD = 8
MAX_PASSWORD_BYTES = 1_024


class Login(Struct, frozen=True, kw_only=True):
    """A user's login at a server.

    Attributes:
        address: The server.
        user: The user's canonical name there.
        password: Only where the server gave no token in its place.
    """

    address: ServerAddress
    user: str
    password: str | None = None


class Options(Struct, frozen=True, kw_only=True):
    """What was given when the program was started; None is asked for, or remembered.

    Attributes:
        address: The server.
        user: The user's name there.
        password: Returns the password; None if only the user can give it.
        is_new: Whether to register an account.
        invite: The invite code to register with.
    """

    address: ServerAddress | None = None
    user: str | None = None
    password: Callable[[], str] | None = None
    is_new: bool = False
    invite: str | None = None


class FirstRun:
    """Finds the login to use, and asks for what is missing.

    Args:
        paths: Where keys and logins are remembered.
        options: What was given already.
        questions: Asks for the rest.
    """

    def __init__(self, paths: Paths, options: Options, questions: Questions) -> None:
        self._options = options
        self.questions = questions
        self._pins = PinStore(paths.pins)
        self._logins = SavedLogins(paths.logins)

    def remembered(self) -> Login | None:
        """Return the login wanted if it can be used without questions, else None."""
        options = self._options
        address, user = options.address, options.user
        if options.is_new:
            return None
        if address is None:
            last = self._logins.last()
            if last is None:
                return None
            address = parse_server_address(last[0])
        server = str(address)
        if user is None:
            known = [u for u in self._logins.users(server) if self._can(server, u)]
            if not known:
                return None
            user = known[0]
        user = parse_user_name(user)
        if self._logins.token(server, user):
            return Login(address=address, user=user)
        if options.password is not None and self._pins.find(server):
            return Login(address=address, user=user, password=options.password())
        return None

    def _can(self, server: str, user: str) -> bool:
        has_token = self._logins.token(server, user) is not None
        return has_token or self._options.password is not None

    def run(self) -> Login:
        """Ask for what is missing, log in once, and remember it.

        Raises:
            NoAnswerError: Something is missing, and the user cannot be asked for it,
                or has not given it in several attempts.
            LinkError: The server cannot be reached, or is not the one it should be.
            ChatError: The server refused, and asking again would not help.
        """
        address, hello = self._find_server()
        self.questions.say(f"This is {hello.name}.")
        if self._is_new(address, hello):
            return self._register(address, hello)
        return self._log_in(address)

    # The server -----------------------------------------------------------------------

    def _find_server(self) -> tuple[ServerAddress, Hello]:
        if self._options.address is not None:
            return self._options.address, self._meet(self._options.address)
        for _ in range(MAX_TRIES):
            address = self._ask_address()
            try:
                return address, self._meet(address)
            except ConnectError as error:
                self.questions.say(f"{error}.")
        raise NoAnswerError("no server could be reached")

    def _ask_address(self) -> ServerAddress:
        last = self._logins.last()
        return ask_until(
            self.questions,
            "Which server? (its address, or a join link)",
            parse_server_address,
            _name(parse_server_address(last[0])) if last else "localhost",
        )

    def _meet(self, address: ServerAddress) -> Hello:
        """Return the server's hello, once its key is trusted."""

        async def meet() -> Hello:
            connection = await connect(address, self._pins)
            connection.abort()
            return connection.hello

        try:
            return asyncio.run(meet())
        except UnknownKeyError as error:
            self._ask_trust(address, error)
            return asyncio.run(meet())

    def _ask_trust(self, address: ServerAddress, error: UnknownKeyError) -> None:
        if not self.questions.is_there:
            raise error
        say = self.questions.say
        name = _name(address)
        say(f"You have not been at {name} before. Its key has the fingerprint")
        say("")
        say(f"    {error.fingerprint}")
        say("")
        say("Compare it with the one that whoever runs the server tells you.")
        if not ask_yes_or_no(self.questions, "Do you trust it?"):
            raise NoAnswerError("the key was not accepted, so nothing was sent")
        self._pins.trust(error.server, error.fingerprint)

    # The account ----------------------------------------------------------------------

    def _is_new(self, address: ServerAddress, hello: Hello) -> bool:
        if self._options.is_new:
            return True
        known, user = self._logins.users(str(address)), self._options.user
        if hello.registration == "closed" or (user and self._options.password):
            return False
        question = "Do you want to make a new account?"
        if self._options.invite or address.invite:
            question = f"You were invited. {question}"
        elif user is not None and parse_user_name(user) not in known:
            question = f"{user} is not known on this device. {question}"
        elif known:
            return False
        return ask_yes_or_no(self.questions, question)

    def _register(self, address: ServerAddress, hello: Hello) -> Login:
        user = self._options.user or self._ask_user("Which name do you want?")
        invite = self._options.invite or address.invite
        if hello.registration == "invite" and invite is None:
            invite = self.questions.ask("The invite code that you were given")
        password = self._new_password()
        for _ in range(MAX_TRIES):
            try:
                step = partial(register, user=user, password=password, invite=invite)
                user = self._do(address, step)
                break
            except (NameTakenError, BadNameError) as error:
                self.questions.say(f"{error.reason}.")
                user = self._ask_user("Which other name do you want?")
            except WeakPasswordError as error:
                if self._options.password is not None:
                    raise
                self.questions.say(f"{error.reason}.")
                password = self._new_password()
            except BadInviteError as error:
                self.questions.say(f"{error.reason}.")
                invite = self.questions.ask("The invite code that you were given")
        else:
            raise NoAnswerError("the account could not be made")
        self.questions.say(f"The account {user} was made.")
        return self._enter(address, user, password)

    def _log_in(self, address: ServerAddress) -> Login:
        known = self._logins.users(str(address))
        user = self._options.user
        if user is None:
            user = self._ask_user("Your name", known[0] if known else "")
        for _ in range(MAX_TRIES):
            try:
                return self._enter(address, user, self._password())
            except AuthFailedError as error:
                if self._options.password is not None:
                    raise
                self.questions.say(f"{error.reason}.")
                if self._options.user is None:
                    user = self._ask_user("Your name", user)
            except TemporaryError as error:
                self.questions.say(f"{error.reason}.")
        raise NoAnswerError("the login was refused too often")

    def _enter(self, address: ServerAddress, user: str, password: str) -> Login:
        introduction = Introduction(
            device=platform.node() or None,
            client=PROGRAM,
            remember=True,
            sync="none",
        )
        ready = self._do(address, lambda c: log_in(c, user, password, introduction))
        self._logins.remember(str(address), ready.user, ready.token)
        return Login(
            address=address,
            user=ready.user,
            password=None if ready.token else password,
        )

    def _do(
        self, address: ServerAddress, step: Callable[[Connection], Awaitable[T]]
    ) -> T:
        """Run a step on a connection of its own."""

        async def take() -> T:
            connection = await connect(address, self._pins)
            try:
                async with asyncio.timeout(LOGIN_SECONDS):
                    return await step(connection)
            except TimeoutError as error:
                raise ConnectError(f"{address} does not answer the login") from error
            finally:
                connection.abort()

        return asyncio.run(take())

    def _ask_user(self, question: str, default: str = "") -> str:
        return ask_until(self.questions, question, parse_user_name, default)

    def _password(self) -> str:
        if self._options.password is not None:
            return self._options.password()
        return self.questions.ask_secret("Password")

    def _new_password(self) -> str:
        if self._options.password is not None:
            return self._options.password()
        for _ in range(MAX_TRIES):
            first = self.questions.ask_secret(
                f"Password (at least {MIN_PASSWORD} characters)"
            )
            if len(first) < MIN_PASSWORD:
                self.questions.say("That is too short.")
            elif len(first.encode()) > MAX_PASSWORD_BYTES:
                self.questions.say("That is too long.")
            elif self.questions.ask_secret("The same password again") == first:
                return first
            else:
                self.questions.say("The two were not the same.")
        raise NoAnswerError("no password was chosen")


def _name(address: ServerAddress) -> str:
    """Return an address as users write it."""
    if address.scheme == "tls":
        return format_host_port(address.host, address.port)
    return str(address)

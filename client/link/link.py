"""The link to a server: connect, log in, stay connected, send exactly once.

A ``Link`` owns the connection, the model, the cache and the outbox of one user at one
server. Frontends and bots read ``link.model``, subscribe to changes, and call the
methods below, all on one event loop.

    async with Link.open("chat.example.org", "bot", password=…) as link:
        async for entry in link.messages():
            await link.send(entry.chat, f"you said: {entry.text}")
            link.mark_read(entry.chat, entry.seq)

Which task owns what: the ``Reconnector`` makes one connection after another; the tasks
of a ``Session`` read, ping, drain the outbox and fill gaps, and end with the
connection. All of them change the model on the loop, without an ``await`` in between,
so that there are no locks.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Literal, Self

import msgspec

from chatd.protocol.messages import (
    Hello,
    Limits,
    MemberInfo,
    Members,
    MembersPage,
    Ready,
    Request,
    ServerMessage,
    SetStatus,
)
from chatd.protocol.names import parse_user_name
from chatd.system.tasks import Tasks
from client.errors import (
    ConnectError,
    NotConnectedError,
)
from client.link.history_loader import HistoryLoader
from client.link.persistence import keep_changes, sync_requests
from client.link.reconnect import AskPassword, LinkState, Reconnector
from client.link.sender import Kind, Sender
from client.link.signals import SignalSender
from client.link.streams import EventStream, Inbox
from client.link.subscribers import Event, Subscribers
from client.model.changes import Change, LoggedIn, Notice
from client.model.entries import OutboxItem
from client.model.model import MAX_ENTRIES, Model
from client.net.address import ServerAddress, parse_server_address
from client.net.authenticator import Authenticator
from client.net.login import Introduction
from client.net.session import Session, Timing
from client.storage.cache import Cache
from client.storage.outbox import Outbox
from client.storage.paths import Paths
from client.storage.pins import PinStore
from client.storage.saved_logins import SavedLogins
from client.transfers.transfers import Transfers

__all__ = ["Link", "LinkState", "Timing"]


class Link:
    """The link of one user to one server; see the module.

    Nothing is sent before ``start``; the model shows at once what the cache holds.

    Args:
        address: As a user types it, or parsed.
        user: The user's name, in any case.
        password: If it is known; else a remembered login is used.
        token: If it is known; else the remembered one is used.
        paths: Where pins, logins, cache and outbox are; None keeps all in memory.
        ask_password: Called with the reason when a password is needed; without it, or
            if it returns None, the link stops.
        on_change: Called with each change, after the model shows it.
        on_state: Called with each new state.
        device: A name for this device, for the list of logins.
        program: This program and its version, for the same list.
        remember: Whether to ask for a token and keep it.
        sync: ``none`` for programs that only send or ask: nothing is pushed to them.
        max_entries: How many entries of each chat are kept in memory.
        timing: Timeouts and intervals.

    Raises:
        BadAddressError: The address cannot be understood.
        BadNameError: The user's name is not valid.
        DamagedFileError: A file of pins or logins is damaged.
        OutboxError: The outbox cannot be opened.

    Attributes:
        address: The server's, parsed.
        user: The user's canonical name.
        model: What is known of chats and users; only for reading.
        limits: The server's limits, None before the first login.
        outbox: What is not confirmed yet; see ``client.link.sender``.
        history: Older entries; see ``client.link.history_loader``.
        transfers: Uploads and downloads; see ``client.transfers.transfers``.
    """

    def __init__(
        self,
        address: str | ServerAddress,
        user: str,
        *,
        password: str | None = None,
        token: str | None = None,
        paths: Paths | None = None,
        ask_password: AskPassword | None = None,
        on_change: Callable[[Change], None] | None = None,
        on_state: Callable[[LinkState], None] | None = None,
        device: str | None = None,
        program: str = "chat",
        remember: bool = True,
        sync: Literal["ask", "none"] = "ask",
        max_entries: int = MAX_ENTRIES,
        timing: Timing | None = None,
    ) -> None:
        if isinstance(address, str):
            address = parse_server_address(address)
        self.address = address
        self.user = parse_user_name(user)
        self.limits: Limits | None = None
        self._subscribers = Subscribers(on_change, on_state)
        self._timing = timing or Timing()
        self._sync = sync
        self._notices: list[Change] = []
        self._tasks = Tasks()
        self._is_started = False
        server = str(address)
        authenticator = Authenticator(
            SavedLogins(paths.logins if paths else None),
            server,
            self.user,
            password=password,
            token=token,
            say=Introduction(
                device=device, client=program, remember=remember, sync=sync
            ),
        )
        self._reconnector = Reconnector(
            self,
            address,
            PinStore(paths.pins if paths else None),
            authenticator,
            self._timing,
            ask_password,
        )
        self._outbox = Outbox(
            paths.outbox(server, self.user) if paths else None, self._notice
        )
        self._cache = Cache(
            paths.messages(server, self.user) if paths and sync == "ask" else None,
            self._notice,
        )
        self.model = Model(self.user, max_entries)
        self.model.log = self._cache.log()
        self.model.keeps_sent = sync == "ask"
        self.model.load_chats(self._cache.chats(), self._cache.held())
        self.outbox = Sender(self._outbox, self.model, self._emit)
        self.history = HistoryLoader(self.model, self._cache, self._emit)
        # Set whenever what `wait_online` looks at may have changed.
        self._moved = asyncio.Event()
        self._can_send = asyncio.Event()
        # What a batch of messages changed, until it is handed over as a whole.
        self._batch: list[Change] = []
        self._signals = SignalSender(self._tell, self._timing.typing)
        self.transfers = Transfers(
            self, self._emit, self._notice, self._timing, paths, server, self.user
        )

    @property
    def state(self) -> LinkState:
        """The present state of the link."""
        return self._reconnector.state

    @property
    def hello(self) -> Hello | None:
        """The server's hello on the latest connection, None before the first."""
        return self._reconnector.hello

    # Starting and stopping ------------------------------------------------------------

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, address: str | ServerAddress, user: str, **options: Any
    ) -> AsyncIterator[Self]:
        """Start a link, wait until it is online, and close it at the end.

        Raises:
            LinkError: It cannot go online (unknown key, no login …); see
                ``wait_online``.
            ChatError: The server refused the login.
        """
        link = cls(address, user, **options)
        link.start()
        try:
            await link.wait_online()
            yield link
        finally:
            await link.close()

    def start(self) -> None:
        """Connect, and stay connected until ``close``.

        A link that stopped (its server's key was not known yet, say) may be started
        again; its iterators have ended.
        """
        notices, self._notices = self._notices, []
        self._emit(notices)
        self._is_started = True
        if not self._tasks:
            self._tasks.spawn(self._reconnector.run())

    async def close(self) -> None:
        """Hang up and close the files; unsent messages stay for the next start."""
        self._signals.flush()
        # While there is a connection, so that the server learns what was cancelled.
        await self.transfers.close()
        self._is_started = False
        await self._tasks.close()
        if self.state.name != "stopped" or self.state.error is None:
            self._reconnector.stop(None)
        await self._outbox.close()
        self._cache.close()

    async def wait_online(self) -> None:
        """Wait until the login and the backlog are complete.

        Raises:
            UnknownKeyError: The server's key has to be accepted first.
            ChangedKeyError: The server shows another key.
            ChatError: The server refused the login.
            LinkError: The link was stopped for another reason.
        """
        while True:
            if not self._is_started:
                raise NotConnectedError("the link is not started, or closed")
            if self.state.error is not None and self.state.name == "stopped":
                raise self.state.error
            if self.state.name == "online" and self._is_complete:
                return
            self._moved.clear()
            await self._moved.wait()

    def reconnect_now(self) -> None:
        """Make the next attempt now."""
        self._reconnector.retry_now()

    # Requests and sending -------------------------------------------------------------

    async def request(self, request: Request) -> ServerMessage:
        """Send a request and return its reply; many may be under way at once.

        Replies about the user's own chats (``joined``) are applied to the model, too.

        Raises:
            ChatError: The server refused; the class says how.
            NotConnectedError: There is no connection, or it broke before the reply.
        """
        session = self._reconnector.session
        if session is None:
            raise NotConnectedError("there is no connection to the server just now")
        reply = await session.request(request)
        if isinstance(request, SetStatus):
            self._signals.keep_status(request)
        self._emit(self.model.apply(reply, self._now()))
        return reply

    async def send(
        self, chat: str, text: str, kind: Kind = "text", reply_to: int | None = None
    ) -> OutboxItem:
        """Put a message into the outbox; when this returns it is on the disk.

        It is sent as soon as possible, exactly once, in the order of the calls, also
        after a restart of the program. Its outcome is reported by ``ItemChanged``.

        Raises:
            BadNameError: ``chat`` is not an address.
            BadRequestError: The text cannot be encoded.
            TooLargeError: The text is longer than the server accepts.
            OutboxError: It could not be written to the disk.
        """
        return await self.outbox.send(chat, text, kind, reply_to)

    async def send_and_wait(
        self,
        chat: str,
        text: str,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        kind: Kind = "text",
        reply_to: int | None = None,
    ) -> OutboxItem:
        """Send a message and wait until the server has it; return it with its seq.

        Args:
            chat: The address of the chat.
            text: The text.
            timeout: In seconds; None waits as long as the link lives.
            kind: text or action.
            reply_to: The seq of the message that it answers.

        Raises:
            SendTimeoutError: Not confirmed in time; the message stays in the outbox,
                under ``error.item``, unless it is discarded.
            ChatError: The server refused it, or the login.
            LinkError: The link was stopped, or see ``send``.
        """
        if self.state.name == "stopped":
            raise self.state.error or NotConnectedError("the link is not started")
        return await self.outbox.send_and_wait(
            chat, text, timeout, kind=kind, reply_to=reply_to
        )

    def mark_read(self, chat: str, seq: int) -> None:
        """Move the user's cursor forward; it is sent as soon as possible."""
        changes = self.model.mark_read(chat, seq)
        self._emit(changes)
        if changes and self._reconnector.session is not None:
            self._signals.read(chat, self.model.chats[chat].read)

    def typing(self, chat: str) -> None:
        """Signal that the user is typing; sent at most every few seconds."""
        self._signals.typing(chat, self._now())

    # For the transfers ----------------------------------------------------------------

    def data_address(self) -> ServerAddress | None:
        """Return the address for data connections; None without a connection.

        It is the server's own address, pinned to the key that it has shown.
        """
        session = self._reconnector.session
        if session is None:
            return None
        shown = session.connection.fingerprint
        return msgspec.structs.replace(self.address, pin=shown or self.address.pin)

    # Reading -------------------------------------------------------------------------

    async def load_members(self, chat: str) -> list[MemberInfo]:
        """Fetch the members of a room, also into ``model.chats[chat].members``.

        Raises:
            NotConnectedError: There is no connection.
            ChatError: The server refused.
        """
        found: list[MemberInfo] = []
        self.model.expect_members(chat)
        while True:
            after = found[-1].user if found else None
            page = await self.request(Members(room=chat, after=after))
            if not isinstance(page, MembersPage):
                raise ConnectError("the server answers with something else")
            found += page.members
            if not page.more or not page.members:
                self._emit(self.model.set_members(chat, found))
                return found

    def events(self) -> EventStream[Event]:
        """Return an iterator over all changes and states from now on.

        It ends with ``close``, and raises the error that stopped the link.
        """
        return self._subscribers.events()

    def messages(
        self, *, include_own: bool = False, include_events: bool = False
    ) -> Inbox:
        """Return an iterator over entries: once each, in order, nothing missing.

        It begins after the cursor of each chat: a bot that calls ``mark_read`` for what
        it has handled continues from there after a restart. It ends with ``close``,
        and raises the error that stopped the link.
        """
        return self._subscribers.messages(
            self.model,
            self.request,
            include_own=include_own,
            include_events=include_events,
        )

    # Called by the reconnector --------------------------------------------------------

    def handle_state(self, state: LinkState) -> None:
        """Handle a new state and pass it on."""
        self._moved.set()
        error: Exception | None = None
        if state.name == "stopped":
            error = state.error or NotConnectedError("the link was closed")
            self.outbox.give_up(error)
        self.transfers.handle_stop(error)
        self._subscribers.publish_state(state)

    def handle_login(self, ready: Ready) -> None:
        """Handle an accepted login."""
        self.limits = self.outbox.limits = ready.limits
        self.handle_message(ready)
        self.handle_batch()
        self.transfers.handle_login()

    def handle_message(self, message: ServerMessage) -> None:
        """Apply a message; its changes are passed on with its batch."""
        changes = self.model.apply(message, self._now())
        self._batch += changes
        if any(isinstance(change, LoggedIn) for change in changes):
            self._begin()

    def handle_batch(self) -> None:
        """Pass on the changes of a batch of messages."""
        batch, self._batch = self._batch, []
        self._emit(batch)

    def handle_logout(self) -> None:
        """Handle the end of the connection."""
        self._can_send.clear()
        self.transfers.handle_logout()
        self._signals.disconnected()
        self.handle_batch()
        self._emit(self.model.go_offline())

    def work(self, session: Session) -> list[Coroutine[Any, Any, None]]:
        """Return the coroutines that run as long as the session."""
        work = [self._pump(session)]
        if self._sync == "ask":
            work.append(self.history.keep_whole(session))
        return work

    # Inside ---------------------------------------------------------------------------

    @property
    def _is_complete(self) -> bool:
        return self.model.is_synced or self._sync == "none"

    def _begin(self) -> None:
        """Start syncing and sending: the list of chats is complete."""
        session = self._reconnector.session
        if session is None:
            return
        if self._sync == "ask":
            room = session.connection.max_body_bytes
            for request in sync_requests(self.model.have(), room):
                session.post(request, self.handle_message)
        self._signals.logged_in(self.model.chats.values())
        self._can_send.set()

    async def _pump(self, session: Session) -> None:
        await self._can_send.wait()
        await self.outbox.pump(session)

    def _tell(self, request: Request) -> None:
        if self._reconnector.session is not None:
            self._reconnector.session.tell(request)

    def _emit(self, changes: list[Change]) -> None:
        """Write changes to the cache, then pass them on."""
        if not changes:
            return
        keep_changes(self._cache, self.model, changes)
        self.history.suspect(changes)
        self._moved.set()
        for change in changes:
            self._subscribers.publish_change(change)

    def _notice(self, text: str) -> None:
        notice = Notice(text=text)
        if not self._is_started:
            self._notices.append(notice)  # nobody listens yet: kept until ``start``
        else:
            self._emit([notice])

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


MakeLink = Callable[[Callable[[Change], None], Callable[[LinkState], None]], Link]
"""Makes a link, given its ``on_change`` and ``on_state``."""

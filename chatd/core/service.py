"""The core's entry point: what listeners call for a logged-in connection."""

import contextlib
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import Struct

from chatd.core.chats import Chats
from chatd.core.feed import Feed, Sink
from chatd.core.files.quota import FileLimits
from chatd.core.files.rules import Files
from chatd.core.hub import Hub
from chatd.core.limits import RateLimit
from chatd.core.people import Directory, People
from chatd.core.presence import PresenceBoard
from chatd.core.receipts import Receipts
from chatd.core.rooms import Rooms
from chatd.core.sessions import OnlineUser, Session, address_for, chat_record
from chatd.core.signals import Signals
from chatd.protocol.errors import NotAllowedError, TemporaryError
from chatd.protocol.messages import (
    ChatRecord,
    Invitation,
    SyncMode,
)
from chatd.protocol.messages import (
    Chats as ChatsPush,
)
from chatd.protocol.names import canonical_address
from chatd.store.base import Store
from chatd.store.blobs import Blobs
from chatd.store.values import ChatState
from chatd.store.values import Invitation as StoredInvitation

# Bytes of chat records in one push, far enough below what a frame can carry.
MAX_RECORD_BYTES = 400_000


class ServiceLimits(Struct, frozen=True, kw_only=True):
    """The limits that the core takes from the settings; a rate of 0 is no limit."""

    text: int
    sync: int
    messages_per_second: float
    messages_burst: float
    address_messages_per_second: float
    address_messages_burst: float
    user_rooms: int
    invitations: int
    files: FileLimits


class LoginState(NamedTuple):
    """What a session begins with.

    Attributes:
        role: The user's, on the server.
        log: Which log it is that seqs and cursors belong to.
        text: The most bytes of a text.
        upload: The most bytes of a file; None for no bound.
        chats: The user's chats, or the first of them.
        more: Whether others are pushed next.
        invites: The invitations that are open.
    """

    role: str
    log: str
    text: int
    upload: int | None
    chats: list[ChatRecord]
    more: bool
    invites: list[Invitation]


class SystemClock:
    """The machine's clocks."""

    @staticmethod
    def now_ms() -> int:
        """Return the wall clock's time in ms, for display."""
        return time.time_ns() // 1_000_000

    @staticmethod
    def monotonic() -> float:
        """Return seconds that never step back, for rates."""
        return time.monotonic()


class Service:
    """All operations of a chat server, independent of the wire protocol.

    Args:
        store: Holds everything but contents of files; its follower becomes the hub.
        blobs: Holds the contents of files.
        directory: Knows which accounts exist.
        limits: The configured bounds.
        clock: Source of the time.
        signals: Passes on what concerns those who are connected.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        directory: Directory,
        limits: ServiceLimits,
        clock: SystemClock | None = None,
        signals: Signals | None = None,
    ) -> None:
        self._store = store
        self.clock = clock or SystemClock()
        self.limits = limits
        self.signals = signals or Signals()
        self.hub = Hub(store, self.signals, directory.is_user)
        self.presence = PresenceBoard(self.hub, self.signals, self.clock.now_ms)
        self.people = People(directory, self.presence)
        self._receipts = Receipts(self.hub, self.signals)
        self._user_rate = RateLimit(0, 1, "messages from you")
        self._address_rate = RateLimit(0, 1, "messages from your address")
        self.chats = Chats(
            self.hub,
            store,
            directory,
            self.signals,
            self.clock,
            self._user_rate,
            self._address_rate,
            limits.text,
        )
        self.rooms = Rooms(
            self.hub,
            store,
            directory,
            self.presence,
            self.clock,
            self._user_rate,
            limits.user_rooms,
            limits.invitations,
        )
        self.files = Files(
            self.hub,
            store,
            blobs,
            directory,
            self.signals,
            self.chats,
            self.clock,
            limits.files,
        )
        self.reconfigure(limits)

    def start(self) -> None:
        """Start the background tasks, which run until ``close``."""
        self.files.start()

    def reconfigure(self, limits: ServiceLimits) -> None:
        """Apply new limits, also to users who are connected."""
        self.limits = limits
        self._user_rate.reconfigure(limits.messages_per_second, limits.messages_burst)
        self._address_rate.reconfigure(
            limits.address_messages_per_second, limits.address_messages_burst
        )
        self.chats.max_text_bytes = limits.text
        self.chats.has_rates = self._user_rate.is_on or self._address_rate.is_on
        self.rooms.max_rooms = limits.user_rooms
        self.rooms.max_invitations = limits.invitations
        self.files.reconfigure(limits.files)

    async def close(self) -> None:
        """Stop the feeds and background tasks; store and blobs stay open."""
        await self.files.close()
        self.presence.close()
        await self.hub.close()

    # Logins -------------------------------------------------------------------------

    async def login(
        self,
        user: str,
        role: str,
        sink: Sink,
        mode: SyncMode,
        address: str,
        answer: Callable[[Session, LoginState], None],
    ) -> Session:
        """Begin a session for an authenticated user.

        ``answer`` is called in the step of the loop in which the session begins, so
        that the reply is sent before anything is pushed to the connection.

        Raises:
            UnavailableError: The store cannot be read for now.
        """
        online = self.hub.attach(user)
        session = Session(online, sink, mode, address)
        begun = False
        try:
            # No await may follow until the session is among the user's: a chat gained
            # in between would be announced to the user's other sessions only.
            states, invitations = await self._load_states(online)
            online.sessions.append(session)
            begun = True
        finally:
            if begun:
                online.logins -= 1
            else:
                self.hub.detach(online)
        pages = _pages([chat_record(state) for state in states])
        state = LoginState(
            role=role,
            log=self._store.log_id,
            text=self.limits.text,
            upload=self.limits.files.size or None,
            chats=pages[0],
            more=len(pages) > 1,
            invites=[Invitation(f"#{i.room}", i.by) for i in invitations],
        )
        answer(session, state)
        for number, page in enumerate(pages[1:], 2):
            if sink.is_full:
                await sink.drained()
            sink.push(ChatsPush(chats=page, more=number < len(pages)))
        if mode == "unread":
            await self._start_feed(session, {}, None)
        self.presence.came(session)
        return session

    def logout(self, session: Session) -> None:
        """End the session of a connection that has closed."""
        self.presence.left(session)
        self.hub.detach(session.online, session)

    async def _load_states(
        self, online: OnlineUser
    ) -> tuple[list[ChatState], list[StoredInvitation]]:
        """Return the user's chats, all of them live and seated, and the invitations.

        The chats are followed before they are read for the last time, so whatever the
        reads do not show will be fanned out. It starts again if the user's seats change
        meanwhile.
        """
        while True:
            changes, made = online.changes, self.hub.made
            invitations = await self._store.invitations_of(online.name)
            states = await self._store.chats_of(online.name)
            held = [self.hub.hold(state.membership.chat) for state in states]
            try:
                late = [live.id for live in held if live.made > made]
                if late:
                    heads = await self._store.heads(late)
                    if any(
                        heads.get(state.membership.chat.id, 0) > state.last
                        for state in states
                    ):
                        continue
                if online.changes != changes or not _agree(online, states):
                    continue
                for state in states:
                    self.hub.seat(online, state.membership, state.peer_read, state.last)
                return states, invitations
            finally:
                for live in held:
                    self.hub.release(live)

    # Sync ---------------------------------------------------------------------------

    async def sync(
        self, session: Session, have: dict[str, int], more: bool, re: int | None
    ) -> None:
        """Start pushing entries after those that the client has.

        Args:
            session: The session.
            have: The last seq that the client has, by chat; else the cursor counts.
            more: Whether another part of ``have`` follows; pushing then starts later.
            re: The id of the request, for the ``synced`` that ends the backlog.

        Raises:
            NotAllowedError: The connection asked for no pushes, or has them already.
        """
        if session.mode != "ask" or session.feed is not None:
            raise NotAllowedError("sync is for connections that logged in with 'ask'")
        if session.have is None:
            session.have = {}
        for given, seq in have.items():
            address = canonical_address(given)
            # Chats that the user does not have are ignored.
            if address in session.online.seats:
                session.have[address] = seq
        if more:
            return
        held, session.have = session.have, None
        await self._start_feed(session, held, re)
        self.presence.welcome(session)

    async def _start_feed(
        self, session: Session, have: dict[str, int], re: int | None
    ) -> None:
        online = session.online
        feed = Feed(online.name, session.sink, self._store, self.hub.tasks.start)
        feed.begin_sync()
        session.feed = feed
        missed, session.missed = session.missed, None
        for message in (missed or {}).values():
            session.sink.push(message)
        # The fan-out may be a step behind what the client has; ask the store only then.
        beyond = [
            seat.live.id
            for address, seat in online.seats.items()
            if have.get(address, seat.read) > seat.live.last
        ]
        heads: dict[int, int] = {}
        if beyond:
            # Without an answer, entries are sent again that the client has, and drops.
            with contextlib.suppress(TemporaryError):
                heads = await self._store.heads(beyond)
        is_behind = False
        for address, seat in online.seats.items():
            last = max(seat.live.last, heads.get(seat.live.id, 0))
            position = max(min(have.get(address, seat.read), last), seat.first - 1)
            feed.add(seat.live, position)
            is_behind = is_behind or position < seat.live.last
        if is_behind:
            self.hub.tasks.spawn(feed.sync(self.limits.sync, re))
        else:
            feed.end_sync(re)


def _agree(online: OnlineUser, states: list[ChatState]) -> bool:
    # If the user has other connections, a difference means that the store is a step
    # ahead of the fan-out, which is about to push them a chat gained or lost.
    if not online.seats and not online.sessions:
        return True
    names = {address_for(s.membership.chat, online.name) for s in states}
    return names == online.seats.keys()


def _pages(records: list[ChatRecord]) -> list[list[ChatRecord]]:
    pages: list[list[ChatRecord]] = [[]]
    size = 0
    for record in records:
        size += len(msgspec.json.encode(record))
        if size > MAX_RECORD_BYTES:
            pages.append([])
            size = 0
        pages[-1].append(record)
    return pages

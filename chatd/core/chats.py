"""What one may do with a log: send, read, page through it, say that one is typing."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from chatd.core.hub import Hub
from chatd.core.limits import RateLimit
from chatd.core.sessions import LiveChat, OnlineUser, Seat, Session
from chatd.protocol.entries import (
    Draft,
    Entry,
    begin_text,
    encode_tail,
    finish_text,
    has_same_content,
    tail_time,
)
from chatd.protocol.errors import (
    BadRequestError,
    ChatError,
    KeyReusedError,
    MutedError,
    NoSuchMessageError,
    NoSuchRoomError,
    NoSuchUserError,
    NotAMemberError,
    OutOfOrderError,
    TemporaryError,
    TooLargeError,
)
from chatd.protocol.messages import ReadPush, Send, TypingPush
from chatd.protocol.names import canonical_address
from chatd.store.base import Store
from chatd.store.values import Append, ChatInfo

TYPING_SECONDS = 1.0
# Of a page's entries as they are stored; the listener cuts to what a frame can carry.
MAX_PAGE_BYTES = 1_000_000
_MAX_TYPED = 64


class Directory(Protocol):
    """Who has an account."""

    def is_user(self, name: str) -> bool:
        """Whether there is a user of that canonical name."""


class Clock(Protocol):
    """Where times come from."""

    def now_ms(self) -> int:
        """Return the wall clock's time in ms, for display."""

    def monotonic(self) -> float:
        """Return seconds that never step back, for rates."""


class Page(Struct, frozen=True):
    """Entries next to a bound, oldest first."""

    address: str
    entries: list[Entry]
    more: bool


class Sending(Append, kw_only=True, gc=False):
    """A send on its way; who sent it is told by ``on_done``.

    ``address`` is the chat as its sender addresses it; ``live`` is held until then.
    """

    session: Session
    address: str
    request_id: int | None
    live: LiveChat | None = None


class Chats:
    """The rules of logs.

    Args:
        hub: Who is connected.
        store: Where the logs are.
        directory: Who has an account.
        clock: Where times come from.
        user_rate: Messages by one user.
        address_rate: Messages from one network address.
        max_text_bytes: The longest text, in bytes of UTF-8.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        directory: Directory,
        clock: Clock,
        user_rate: RateLimit,
        address_rate: RateLimit,
        max_text_bytes: int,
    ) -> None:
        self._hub = hub
        self._store = store
        self._directory = directory
        self._clock = clock
        self._user_rate = user_rate
        self._address_rate = address_rate
        self.max_text_bytes = max_text_bytes
        # Whether a send has to ask the rates at all.
        self.has_rates = True

    # Sending ------------------------------------------------------------------------

    def send_nowait(
        self,
        session: Session,
        request: Send,
        now_ms: int,
        on_sent: Callable[[list[Append]], None],
    ) -> bool:
        """Take a send that needs no second look; return whether it was taken.

        This is the hot path: a chat one has, a plain text, nothing refused. For all
        else it returns False and has done nothing; ``send`` then knows what to do.
        ``on_sent`` is told the outcome, and calls ``settle`` if that is an error.
        """
        online = session.online
        seat = online.seats.get(request.chat)
        text = request.text
        if (
            seat is None
            or session.refused
            or not text
            or len(text) * 4 > self.max_text_bytes
            or request.reply_to is not None
            or not seat.is_open
        ):
            return False
        if self.has_rates:
            now = self._clock.monotonic()
            # What is refused here is asked again by `send`, the user's rate first.
            if (
                session.address and self._address_rate.try_take_ms(session.address, now)
            ) or self._user_rate.try_take_ms(online.name, now):
                return False
        kind = request.kind
        begun = session.begun
        if begun is None or begun[0] != now_ms or begun[1] != kind:
            # The many sends of one read share their moment.
            start = begin_text(online.name, kind, now_ms)
            begun = session.begun = (now_ms, kind, start)
        draft = Draft(
            online.name, kind, now_ms, finish_text(begun[2], text), request.key
        )
        self._store.append_nowait(
            Sending(
                seat.live.id,
                draft,
                on_sent,
                session=session,
                address=seat.address,
                request_id=request.id,
            )
        )
        return True

    async def send(
        self, session: Session, request: Send, on_sent: Callable[[list[Append]], None]
    ) -> None:
        """Take a send, whatever it takes to decide about it.

        ``on_sent`` is told the outcome once it was taken, and calls ``settle``.

        Raises:
            ChatError: It was not taken; the key is none of an earlier message.
        """
        address = canonical_address(request.chat)
        if address.startswith("@") and address not in session.online.seats:
            await self._send_first(session, address, request, on_sent)
            return
        with _remembering(session, address, request.key):
            live = self._hub.hold(await self.find(session, address))
        sending = self._sending(session, address, live, request, on_sent)
        try:
            await self._check(session, address, live, request)
        except ChatError as error:
            try:
                with _remembering(session, address, request.key):
                    if not await self._is_known(sending):
                        raise error
                on_sent([sending])
                return
            finally:
                self._hub.release(live)
        self._append(sending, live)

    async def _send_first(
        self,
        session: Session,
        address: str,
        request: Send,
        on_sent: Callable[[list[Append]], None],
    ) -> None:
        """Take the first send of a direct chat that the user does not have.

        It is checked before the chat is made, and can have no earlier key.
        """
        self.check_user(address)
        with _remembering(session, address, request.key):
            self._check_order(session, address, request.key)
            self._check_text(request.text)
            self.take_rate(session)
            if request.reply_to is not None:
                raise _no_such_message(request.reply_to, address)
            info = await self._store.open_direct(session.user, address[1:])
        live = self._hub.hold(info)
        sending = self._sending(session, address, live, request, on_sent)
        self._append(sending, live)

    def _sending(
        self,
        session: Session,
        address: str,
        live: LiveChat,
        request: Send,
        on_sent: Callable[[list[Append]], None],
    ) -> Sending:
        members: dict[str, object] = {"text": request.text}
        if request.reply_to is not None:
            members["reply_to"] = request.reply_to
        user, now_ms = session.user, self._clock.now_ms()
        tail = encode_tail(user, request.kind, now_ms, members)
        return Sending(
            live.id,
            Draft(user, request.kind, now_ms, tail, request.key),
            on_sent,
            session=session,
            address=address,
            request_id=request.id,
        )

    def _append(self, sending: Sending, live: LiveChat) -> None:
        # From here on the store's answer decides; the hold ends with it.
        sending.live = live
        session = sending.session
        if sending.address not in session.online.seats:
            live.gaining.setdefault(session.user, (session, None))
        self._store.append_nowait(sending)

    async def find(self, session: Session, address: str) -> ChatInfo:
        """Return a chat that the user has or that is a room, by canonical address.

        Raises:
            NoSuchRoomError: It is neither.
        """
        seat = session.online.seats.get(address)
        if seat is not None:
            return seat.live.info
        found = await self._store.find_room(address[1:])
        if found is None:
            raise NoSuchRoomError(f"there is no room {address}")
        return found

    def check_rights(self, session: Session, address: str, info: ChatInfo) -> None:
        """Check that the user may write to a chat that is there.

        Raises:
            NoSuchRoomError: It is a private room that the user is not in.
            NotAMemberError: It is a public one.
            MutedError: The user may only read it.
            NoSuchUserError: The other user of the direct chat is gone.
        """
        if info.kind == "room":
            seat = session.online.seats.get(address)
            if seat is None:
                if info.visibility == "private":
                    raise NoSuchRoomError(f"there is no room {address}")
                raise NotAMemberError(f"join {address} before you write to it")
            if seat.role == "muted":
                raise MutedError(f"you may read {address}, but not write to it")
        elif not self._directory.is_user(address[1:]):
            raise NoSuchUserError(f"there is no user '{address[1:]}' any more")

    def check_user(self, address: str) -> None:
        """Check that somebody can be written to for the first time.

        Raises:
            NoSuchUserError: There is no such user.
        """
        if not self._directory.is_user(address[1:]):
            raise NoSuchUserError(f"there is no user '{address[1:]}'")

    async def _check(
        self, session: Session, address: str, live: LiveChat, request: Send
    ) -> None:
        self.check_rights(session, address, live.info)
        self._check_order(session, address, request.key)
        self._check_text(request.text)
        self.take_rate(session)
        if request.reply_to is not None:
            seat = session.online.seats.get(address)
            first = seat.first if seat is not None else 1
            found = await self._store.read(live.id, request.reply_to - 1, 1)
            if not found or found[0].seq != request.reply_to or found[0].seq < first:
                raise _no_such_message(request.reply_to, address)

    @staticmethod
    def _check_order(session: Session, address: str, key: str | None) -> None:
        refused = (session.refused or {}).get(address)
        if refused is None or key is None or session.refused is None:
            return
        if refused[0] != key:
            raise _out_of_order(address)
        del session.refused[address]

    def take_rate(self, session: Session) -> None:
        """Count a message of the user's.

        Raises:
            RateLimitedError: There were too many, of the user or the address.
        """
        now = self._clock.monotonic()
        self._user_rate.take(session.user, now)
        if session.address:
            self._address_rate.take(session.address, now)

    def _check_text(self, text: str) -> None:
        if not text:
            raise BadRequestError("the member 'text' must not be empty")
        if len(text.encode()) > self.max_text_bytes:
            raise TooLargeError(
                f"a message has at most {self.max_text_bytes} bytes; send it in parts"
            )

    async def _is_known(self, sending: Sending) -> bool:
        draft = sending.draft
        if draft.key is None:
            return False
        entry = await self._store.find_key(sending.chat, draft.sender, draft.key)
        if entry is None:
            return False
        if not has_same_content(entry.tail, draft.tail):
            raise KeyReusedError("that key has served a different message")
        sending.seq = entry.seq
        sending.time_ms = tail_time(entry.tail)
        sending.duplicate = True
        return True

    def settle(self, sending: Sending) -> None:
        """Draw the conclusions from the outcome of a send, before it is answered.

        Every taken send comes here, unless it is an unheld one that was stored.
        """
        session = sending.session
        live = sending.live
        if live is not None:
            sending.live = None
            live.gaining.pop(session.user, None)
            self._hub.release(live)
        if sending.error is not None:
            key = sending.draft.key
            refused = (session.refused or {}).get(sending.address)
            if refused is None or key is None or refused[0] == key or refused[1]:
                _remember_refusal(
                    session, sending.address, key, sending.error, was_taken=True
                )
            else:
                sending.error = _out_of_order(sending.address)

    # Reading ------------------------------------------------------------------------

    async def advance(self, session: Session, chat: str, seq: int) -> None:
        """Move the user's cursor forward, and tell who should know.

        Raises:
            ChatError: The user does not have the chat.
        """
        seat = await self.seat(session, chat)
        seq = min(seq, seat.live.last)
        if seq <= seat.read:
            return
        seat.read = seq
        user = session.user
        self._store.advance(seat.live.id, user, seq)
        message = ReadPush(chat=seat.address, seq=seq, user=user)
        for other in session.online.sessions:
            if other is not session:
                other.push_latest(("read", seat.address, user), message)
        peer = self._peer(seat, user)
        if peer is not None:
            address = f"@{user}"
            receipt = ReadPush(chat=address, seq=seq, user=user)
            peer_seat = peer.seats.get(address)
            if peer_seat is not None:
                peer_seat.peer_read = seq
            for other in peer.sessions:
                other.push_latest(("read", address, user), receipt)

    async def history(
        self,
        session: Session,
        chat: str,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> Page:
        """Return the entries next to one exclusive bound.

        Raises:
            BadRequestError: Not exactly one bound was given.
            ChatError: The user does not have the chat.
        """
        if (before is None) == (after is None):
            raise BadRequestError("give exactly one of 'before' and 'after'")
        seat = await self.seat(session, chat)
        live = seat.live
        if after is not None:
            entries = await self._store.read(
                live.id, max(after, seat.first - 1), limit, MAX_PAGE_BYTES
            )
            more = bool(entries) and entries[-1].seq < live.last
            return Page(seat.address, entries, more)
        entries = await self._store.history(
            live.id, before, limit, seat.first, MAX_PAGE_BYTES
        )
        more = bool(entries) and entries[0].prev >= max(seat.first, 1)
        return Page(seat.address, entries, more)

    async def typing(self, session: Session, chat: str) -> None:
        """Tell the others in a chat that the user is typing.

        Raises:
            ChatError: The user does not have the chat.
        """
        seat = await self.seat(session, chat)
        now = self._clock.monotonic()
        typed = session.typed
        if typed is None or len(typed) > _MAX_TYPED:
            typed = session.typed = {}
        if now - typed.get(seat.address, -TYPING_SECONDS) < TYPING_SECONDS:
            return
        typed[seat.address] = now
        user = session.user
        for online in seat.live.online.values():
            if online is session.online:
                continue
            message = TypingPush(chat=seat.live.address_for(online.name), user=user)
            for other in online.sessions:
                if other.feed is not None and not other.sink.is_full:
                    other.push(message)

    async def seat(self, session: Session, chat: str) -> Seat:
        """Return the user's seat in a chat.

        Raises:
            NoSuchRoomError: There is no such room, as far as the user may know.
            NotAMemberError: It is a public room that the user has not joined.
            NoSuchUserError: There is no such user, or nothing was ever said.
            BadNameError: It is no address.
        """
        seat = session.online.seats.get(chat)
        if seat is None:
            address = canonical_address(chat)
            seat = session.online.seats.get(address)
            if seat is None and address.startswith("@"):
                raise NoSuchUserError(f"you have no chat with '{address[1:]}'")
            if seat is None:
                info = await self._store.find_room(address[1:])
                if info is None or info.visibility == "private":
                    raise NoSuchRoomError(f"there is no room {address}")
                raise NotAMemberError(f"you are not a member of {address}")
        return seat

    def _peer(self, seat: Seat, user: str) -> OnlineUser | None:
        if seat.live.info.kind != "direct" or seat.address[1:] == user:
            return None
        return self._hub.users.get(seat.address[1:])


def _out_of_order(address: str) -> OutOfOrderError:
    return OutOfOrderError(
        f"an earlier message to {address} has to be sent again first"
    )


def _no_such_message(seq: int, address: str) -> NoSuchMessageError:
    return NoSuchMessageError(f"there is no message {seq} in {address}")


@contextlib.contextmanager
def _remembering(session: Session, address: str, key: str | None) -> Iterator[None]:
    try:
        yield
    except ChatError as error:
        _remember_refusal(session, address, key, error)
        raise


def _remember_refusal(
    session: Session,
    address: str,
    key: str | None,
    error: ChatError,
    *,
    was_taken: bool = False,
) -> None:
    # Whatever comes after a send that is to be repeated has to wait for it. One that
    # was in flight when a later one was refused is the earlier of the two.
    if key is None or not isinstance(error, TemporaryError):
        return
    if session.refused is None:
        session.refused = {}
    if was_taken:
        session.refused[address] = (key, False)
    else:
        session.refused.setdefault(address, (key, True))

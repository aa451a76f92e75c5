"""Operations on a chat's log: send, mark as read, page through history, typing."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Protocol

from msgspec import Struct

from chatd.core.hub import Hub
from chatd.core.limits import RateLimit
from chatd.core.people import Directory
from chatd.core.sessions import Seat, Session
from chatd.core.signals import ReadUpTo, Signals, Typing
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
    NoSuchMessageError,
    NoSuchRoomError,
    NoSuchUserError,
    NotAMemberError,
    OutOfOrderError,
    TemporaryError,
    TooLargeError,
)
from chatd.protocol.messages import Send
from chatd.protocol.names import canonical_address
from chatd.protocol.rights import require
from chatd.store.base import Store
from chatd.store.commands import FindKey, OpenDirect
from chatd.store.jobs import Append
from chatd.store.values import ChatInfo

TYPING_SECONDS = 1.0
# Size of a page's entries as stored; the listener cuts to what a frame can carry.
MAX_PAGE_BYTES = 1_000_000
_MAX_TYPED = 64


class Clock(Protocol):
    """Source of the time."""

    def now_ms(self) -> int:
        """Return the wall clock's time in ms, for display."""

    def monotonic(self) -> float:
        """Return seconds that never step back, for rates."""


class Page(Struct, frozen=True):
    """A page of history: entries next to a bound, oldest first."""

    address: str
    entries: list[Entry]
    more: bool


class Sending(Append, kw_only=True, gc=False):
    """A send handed to the store; ``on_done`` reports the outcome to its connection.

    ``address`` is the chat as its sender addresses it; ``is_first`` is whether the
    sender may gain it by this.
    """

    session: Session
    address: str
    request_id: int | None
    is_first: bool = False


class Chats:
    """Applies the rules for sending to a log and reading it.

    Args:
        hub: The connected users and live chats.
        store: Holds the logs.
        directory: Knows which accounts exist.
        signals: Where cursors and typing are published.
        clock: Source of the time.
        user_rate: Limits messages per user.
        address_rate: Limits messages per network address.
        max_text_bytes: The longest text, in bytes of UTF-8.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        directory: Directory,
        signals: Signals,
        clock: Clock,
        user_rate: RateLimit,
        address_rate: RateLimit,
        max_text_bytes: int,
    ) -> None:
        self._hub = hub
        self._store = store
        self._directory = directory
        self._signals = signals
        self._clock = clock
        self._user_rate = user_rate
        self._address_rate = address_rate
        self.max_text_bytes = max_text_bytes
        # Whether any rate limit is on, so that a send has to ask for tokens.
        self.has_rates = True

    # Sending ------------------------------------------------------------------------

    def send_nowait(
        self,
        session: Session,
        request: Send,
        now_ms: int,
        on_sent: Callable[[list[Append]], None],
    ) -> bool:
        """Append a send that needs no further checks; return whether it was accepted.

        This is the hot path: a chat that the user has, a plain text, nothing refused
        before. In all other cases it returns False with no effect; call ``send`` then.
        ``on_sent`` is called with the outcome, and calls ``settle`` if it is an error.
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
            # `send` checks again what is refused here, the user's rate first.
            if (
                session.address and self._address_rate.try_take_ms(session.address, now)
            ) or self._user_rate.try_take_ms(online.name, now):
                return False
        kind = request.kind
        begun = session.begun
        if begun is None or begun[0] != now_ms or begun[1] != kind:
            # The many sends of one read share a time, so this part is encoded once.
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
        """Check a send, with reads from the store where needed, and append it.

        ``on_sent`` is called with the outcome of an accepted send, and calls
        ``settle``. A send that would be refused, but whose key an earlier message has,
        is reported as that message's duplicate.

        Raises:
            ChatError: It was refused, and no earlier message has its key.
        """
        address = canonical_address(request.chat)
        if address.startswith("@") and address not in session.online.seats:
            await self._send_first(session, address, request, on_sent)
            return
        with _remembering(session, address, request.key):
            info = await self.find(session, address)
        sending = self._sending(session, address, info, request, on_sent)
        try:
            await self._check(session, address, info, request)
        except ChatError as error:
            with _remembering(session, address, request.key):
                if not await self._is_known(sending):
                    raise error
            on_sent([sending])
        else:
            self._store.append_nowait(sending)

    async def _send_first(
        self,
        session: Session,
        address: str,
        request: Send,
        on_sent: Callable[[list[Append]], None],
    ) -> None:
        """Check and append the first send to a direct chat.

        It is checked before the chat is created; no earlier message can have its key.
        """
        self.check_user(address)
        with _remembering(session, address, request.key):
            self._check_order(session, address, request.key)
            self._check_text(request.text)
            self.take_rate(session)
            if request.reply_to is not None:
                raise _no_such_message(request.reply_to, address)
            info = await self._store.execute(OpenDirect(session.user, address[1:]))
        sending = self._sending(session, address, info, request, on_sent)
        if address not in session.online.seats:
            sending.is_first = True
            self._hub.ask(session, address)
        self._store.append_nowait(sending)

    def _sending(
        self,
        session: Session,
        address: str,
        info: ChatInfo,
        request: Send,
        on_sent: Callable[[list[Append]], None],
    ) -> Sending:
        members: dict[str, object] = {"text": request.text}
        if request.reply_to is not None:
            members["reply_to"] = request.reply_to
        user, now_ms = session.user, self._clock.now_ms()
        tail = encode_tail(user, request.kind, now_ms, members)
        return Sending(
            info.id,
            Draft(user, request.kind, now_ms, tail, request.key),
            on_sent,
            session=session,
            address=address,
            request_id=request.id,
        )

    async def find(self, session: Session, address: str) -> ChatInfo:
        """Return a chat that the user has, or any room, by its canonical address.

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
        """Check that the user may write to an existing chat.

        Raises:
            NoSuchRoomError: It is a private room that the user is not in.
            NotAMemberError: It is a public room that the user is not in.
            MutedError: The user may only read it.
            NoSuchUserError: The other user of the direct chat has no account any more.
        """
        if info.kind == "room":
            seat = session.online.seats.get(address)
            if seat is None:
                if info.visibility == "private":
                    raise NoSuchRoomError(f"there is no room {address}")
                raise NotAMemberError(f"join {address} before you write to it")
            require(seat.role, "write", address)
        elif not self._directory.is_user(address[1:]):
            raise NoSuchUserError(f"there is no user '{address[1:]}' any more")

    def check_user(self, address: str) -> None:
        """Check that the user of a direct chat to be opened exists.

        Raises:
            NoSuchUserError: There is no such user.
        """
        if not self._directory.is_user(address[1:]):
            raise NoSuchUserError(f"there is no user '{address[1:]}'")

    async def _check(
        self, session: Session, address: str, info: ChatInfo, request: Send
    ) -> None:
        self.check_rights(session, address, info)
        self._check_order(session, address, request.key)
        self._check_text(request.text)
        self.take_rate(session)
        if request.reply_to is not None:
            seat = session.online.seats.get(address)
            first = seat.first if seat is not None else 1
            found = await self._store.read(info.id, request.reply_to - 1, 1)
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
        """Count one message against the rate limits of the user and the address.

        Raises:
            RateLimitedError: Either has sent too many.
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
        entry = await self._store.execute(
            FindKey(sending.chat, draft.sender, draft.key)
        )
        if entry is None:
            return False
        if not has_same_content(entry.tail, draft.tail):
            raise KeyReusedError("that key has served a different message")
        sending.seq = entry.seq
        sending.time_ms = tail_time(entry.tail)
        sending.duplicate = True
        return True

    def settle(self, sending: Sending) -> None:
        """Record the outcome of a send, before it is answered.

        Call it for every accepted send that failed, or that ``is_first``.

        After a temporary failure of a keyed send, later keyed sends of the connection
        to that chat must wait until that key comes again, or pipelined messages would
        be stored out of order. A failed commit fails all sends in flight, in order: the
        first keeps its error, the later ones become ``out_of_order`` here.
        """
        session = sending.session
        if sending.is_first:
            self._hub.stop_asking(session, sending.address)
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
        """Move the user's cursor forward; who is concerned is told by a signal.

        Raises:
            ChatError: The user does not have the chat.
        """
        seat = await self.seat(session, chat)
        live, user = seat.live, session.user
        seq = min(seq, live.last)
        if seq > seat.read:
            self._store.advance(live.id, user, seq)
            self._signals.publish(ReadUpTo(live.id, user, seq, session))

    async def history(
        self,
        session: Session,
        chat: str,
        before: int | None,
        after: int | None,
        limit: int,
    ) -> Page:
        """Return the page of entries next to one exclusive bound.

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
        """Tell the other members of a chat, by a signal, that the user is typing.

        Calls within ``TYPING_SECONDS`` of the last one to the chat have no effect.

        Raises:
            ChatError: The user does not have the chat.
        """
        seat = await self.seat(session, chat)
        now = self._clock.monotonic()
        typed = session.typed
        if typed is None or len(typed) > _MAX_TYPED:
            typed = session.typed = {}
        if now - typed.get(seat.address, -TYPING_SECONDS) >= TYPING_SECONDS:
            typed[seat.address] = now
            self._signals.publish(Typing(seat.live.id, session.user))

    async def seat(self, session: Session, chat: str) -> Seat:
        """Return the user's seat in a chat.

        Raises:
            NoSuchRoomError: There is no such room, as far as the user may know.
            NotAMemberError: It is a public room that the user has not joined.
            NoSuchUserError: There is no such user, or no message was ever sent.
            BadNameError: It is not an address.
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
    # Sends after one that has to be repeated must wait for it. A send that fails in
    # flight (``was_taken``) is older than one that was refused before it was accepted,
    # so it takes that one's place.
    if key is None or not isinstance(error, TemporaryError):
        return
    if session.refused is None:
        session.refused = {}
    if was_taken:
        session.refused[address] = (key, False)
    else:
        session.refused.setdefault(address, (key, True))

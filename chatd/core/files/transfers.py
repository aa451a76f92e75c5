"""Files on their way: what a ticket permits, without a wire.

A transfer is begun by ``Transfers.redeem``, then opened, moved and closed by one task,
that of its data connection. Each upload has one transfer at a time: a newer one waits
until the one before it, which it cuts, has let go.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator

from chatd.core.chats import Clock
from chatd.core.files.quota import Space
from chatd.core.files.sealing import Sealer
from chatd.core.files.sweep import Sweeper
from chatd.core.files.tickets import Ticket, Tickets
from chatd.core.hub import Hub
from chatd.protocol.errors import (
    BadRequestError,
    ChatError,
    NoSuchMessageError,
    NotAllowedError,
    TooManyError,
)
from chatd.protocol.messages import Stored
from chatd.store.base import Store
from chatd.store.blobs import Blobs, Content, Receiving
from chatd.store.values import FileRecord

# After so many bytes it is looked again whether there is room.
LOOK_BYTES = 64 << 20
# A transfer that has not moved for so long makes way for another of its user: its
# connection may be dead without anybody having said so.
STALLED_SECONDS = 15.0
RETRY_MS = 5_000

# Ends a transfer from outside: with a refusal, or without a word.
Cut = Callable[[ChatError | None], None]

_log = logging.getLogger(__name__)


class Transfers:
    """The transfers of this process, and the tickets for more.

    Args:
        hub: Who is connected, to know rights without asking the store.
        store: Where the records are.
        blobs: Where the contents are.
        clock: Where times come from.
        space: Whether there is room; its limits also bound how many transfers.
        sweeper: Knows what comes in.
        sealer: Makes complete uploads files.
    """

    def __init__(
        self,
        hub: Hub,
        store: Store,
        blobs: Blobs,
        clock: Clock,
        space: Space,
        sweeper: Sweeper,
        sealer: Sealer,
    ) -> None:
        self._hub = hub
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self.space = space
        self.sweeper = sweeper
        self.sealer = sealer
        self.tickets = Tickets(clock.monotonic)
        self._active: set[Transfer] = set()
        self._uploads: dict[str, Reception] = {}

    # Rights -------------------------------------------------------------------------

    async def find_visible(self, user: str, file: str) -> FileRecord:
        """Return a stored file that the user may see.

        Raises:
            NoSuchMessageError: There is none; in the same words for all reasons.
        """
        record = await self.store.find_file(file)
        if record is not None and record.is_stored:
            first = await self._first(user, record.chat)
            if first is not None and record.seq >= first:
                return record
        raise _no_such_file()

    async def _first(self, user: str, chat: int) -> int | None:
        online, live = self._hub.users.get(user), self._hub.chats.get(chat)
        if online is not None and live is not None:
            seat = online.seats.get(live.address_for(user))
            if seat is not None and seat.live is live:
                return seat.first
        state = await self.store.chat_of(user, chat)
        return None if state is None else state.membership.first

    # Transfers ----------------------------------------------------------------------

    def redeem(self, token: str, cut: Cut) -> "Reception | Dispatch":
        """Begin what a ticket permits; close it in any case.

        Args:
            token: The ticket, which is used up by this.
            cut: Called when the transfer has to end; it is closed by its task then.

        Raises:
            NotAllowedError: The ticket is not valid.
            TooManyError: There are as many transfers as may be.
        """
        ticket = self.tickets.take(token)
        if ticket is None:
            raise NotAllowedError(
                "that ticket is not valid, or not any more: ask for a new one"
            )
        earlier = self._uploads.get(ticket.file.id) if ticket.is_upload else None
        self._make_way(ticket.user, earlier)
        if not ticket.is_upload:
            dispatch = Dispatch(self, ticket, cut)
            self._active.add(dispatch)
            return dispatch
        reception = Reception(self, ticket, cut, earlier)
        self._active.add(reception)
        self._uploads[ticket.file.id] = reception
        if earlier is not None:
            earlier.cut(None)
        return reception

    def _make_way(self, user: str, earlier: "Reception | None") -> None:
        limits = self.space.limits
        others = [each for each in self._active if each is not earlier]
        mine = [each for each in others if each.user == user]
        if len(others) < limits.transfers and len(mine) < limits.user_transfers:
            return
        now = self.clock.monotonic()
        stalled = min(mine, key=lambda each: each.moved_at, default=None)
        if stalled is not None and now - stalled.moved_at >= STALLED_SECONDS:
            stalled.cut(None)
        elif len(mine) >= limits.user_transfers:
            raise TooManyError(
                f"you have {len(mine)} files on their way; wait for one of them",
                RETRY_MS,
            )
        else:
            raise TooManyError(
                "the server moves too many files; wait a little", RETRY_MS
            )

    def forget(self, transfer: "Transfer") -> None:
        """Take note that a transfer is closed."""
        self._active.discard(transfer)
        if self._uploads.get(transfer.record.id) is transfer:
            del self._uploads[transfer.record.id]

    def upload_of(self, file: str) -> "Reception | None":
        """Return the transfer of an upload, if it moves."""
        return self._uploads.get(file)

    def uploads(self) -> Iterator[FileRecord]:
        """All uploads that move, or may at once."""
        yield from (reception.record for reception in self._uploads.values())
        yield from self.tickets.uploads()

    def promised(self, besides: "Reception | None" = None) -> int:
        """Return how many bytes are still to come of all uploads that move."""
        return sum(
            each.size - each.offset
            for each in self._uploads.values()
            if each is not besides
        )

    def end_user(self, user: str) -> None:
        """Void the user's tickets, and cut what moves."""
        self.tickets.void_user(user)
        for transfer in list(self._active):
            if transfer.user == user:
                transfer.cut(None)


class Transfer:
    """One file on its way over one data connection.

    Attributes:
        user: Whose it is.
        record: The file; as of ``open``.
        offset: Which byte is the next.
        size: Of the whole file, in bytes.
        cut: Ends it from outside.
        moved_at: When a byte moved last, by the monotonic clock; its task sets it.
        closed: Set once it has let go of everything.
    """

    def __init__(self, transfers: Transfers, ticket: Ticket, cut: Cut) -> None:
        self._transfers = transfers
        self.user = ticket.user
        self.record = ticket.file
        self.offset = ticket.offset
        self.size = ticket.file.size
        self.cut = cut
        self.moved_at = transfers.clock.monotonic()
        self.closed = asyncio.Event()

    def _let_go(self) -> None:
        self._transfers.forget(self)
        self.closed.set()


class Dispatch(Transfer):
    """A download.

    Attributes:
        content: What to send, from ``offset`` on; there once it is open.
    """

    content: Content | None = None

    async def open(self) -> None:
        """Open the content.

        Raises:
            NoSuchMessageError: The file is gone, or not for this user any more.
        """
        transfers = self._transfers
        self.record = await transfers.find_visible(self.user, self.record.id)
        try:
            content = await transfers.blobs.open(self.record.sha256)
        except FileNotFoundError:
            # Removed just now, or lost: only the latter is trouble.
            await transfers.find_visible(self.user, self.record.id)
            _log.error("the content %s is missing: run chatd check", self.record.sha256)
            raise _no_such_file() from None
        self.content = content
        if content.size != self.size:
            _log.error("the content %s is damaged: run chatd check", self.record.sha256)
            raise _no_such_file()

    async def close(self) -> None:
        """Let go of it; twice is fine."""
        if self.content is not None:
            self.content.close()
        self._let_go()


class Reception(Transfer):
    """An upload: while one piece of it is written, the next one may gather."""

    def __init__(
        self,
        transfers: Transfers,
        ticket: Ticket,
        cut: Cut,
        earlier: "Reception | None",
    ) -> None:
        super().__init__(transfers, ticket, cut)
        self._earlier = earlier
        self._receiving: Receiving | None = None
        self._writing: asyncio.Task[None] | None = None
        self._looked_at = 0

    async def open(self) -> None:
        """Go on where the upload was left; a file that is stored has nothing to come.

        Raises:
            NotAllowedError: The upload was cancelled, or has expired.
            StorageFullError: There is no room for the rest.
        """
        transfers = self._transfers
        await self._await_earlier()
        await transfers.sealer.settled(self.record.id)
        record = await transfers.store.find_file(self.record.id)
        if record is None:
            raise NotAllowedError("that upload was cancelled, or has expired")
        self.record = record
        if record.is_stored:
            self.offset = self.size
            return
        self._receiving = await transfers.sweeper.receive(record.id)
        self.offset = self._looked_at = self._receiving.offset
        left = self.size - self.offset
        await transfers.space.check_disk(left, transfers.promised(besides=self))

    async def settle(self) -> None:
        """Wait until all that was taken is written, and there is room for more.

        Raises:
            StorageFullError: There is no room any more; what was written stays.
            UnavailableError: It could not be written.
        """
        if self._writing is not None:
            await asyncio.shield(self._writing)
        if self.offset - self._looked_at >= LOOK_BYTES:
            self._looked_at = self.offset
            await self._transfers.space.check_floor()

    def write(self, data: bytes | memoryview) -> None:
        """Take bytes, which must not change until ``settle``; call it after that."""
        assert self._receiving is not None
        self.offset += len(data)
        # The disk takes both alike.
        writing = self._receiving.write(data)
        self._writing = asyncio.get_running_loop().create_task(writing)

    async def finish(self) -> Stored:
        """Make the complete upload a file; cancelling does not break that off.

        Raises:
            TemporaryError: Everything is still there; ask again for the same upload.
            ChatError: The upload was refused, and nothing is left of it.
        """
        if self.record.is_stored:
            return Stored(file=self.record.id, seq=self.record.seq)
        await self.settle()
        await self._end_receiving()
        seq = await self._transfers.sealer.seal(self.record)
        return Stored(file=self.record.id, seq=seq)

    async def drop(self) -> None:
        """Remove what came in: it is more than was announced.

        Raises:
            BadRequestError: Always.
        """
        await self._end_receiving()
        await self._transfers.sealer.drop(self.record)
        raise BadRequestError(
            f"more than the announced {self.size} bytes came; nothing was stored"
        )

    async def close(self) -> None:
        """Finish writing what was taken, and let go of it; twice is fine."""
        try:
            await self._await_earlier()
            await self._end_receiving()
        except ChatError as error:
            _log.debug("%s was not let go of: %s", self.record.id, error)
        finally:
            self._let_go()

    async def _await_earlier(self) -> None:
        if self._earlier is not None:
            await self._earlier.closed.wait()

    async def _end_receiving(self) -> None:
        receiving, self._receiving = self._receiving, None
        if self._writing is not None:
            await asyncio.wait([self._writing])
            if not self._writing.cancelled() and self._writing.exception():
                _log.debug("the last bytes of %s were not written", self.record.id)
        if receiving is not None:
            await receiving.close()


def _no_such_file() -> NoSuchMessageError:
    return NoSuchMessageError("there is no such file, or not any more")

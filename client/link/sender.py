"""Sends the outbox: each message from the disk to the server's answer."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Literal

import msgspec

from chatd.protocol.errors import (
    BadRequestError,
    ChatError,
    NoSuchMessageError,
    TooLargeError,
    error_from_code,
)
from chatd.protocol.messages import (
    Error,
    Limits,
    Request,
    Send,
    Sent,
    ServerMessage,
)
from chatd.protocol.names import parse_address
from client.errors import ConnectError, SendTimeoutError
from client.link.send_order import SendOrder
from client.model.changes import Change
from client.model.entries import OutboxItem
from client.model.model import Model
from client.net.session import Session
from client.storage.outbox import Outbox

MAX_IN_FLIGHT = 64

Kind = Literal["text", "action"]
Waiter = asyncio.Future[OutboxItem]


class Sender:
    """Sends the outbox, each item once and in order within its chat.

    Args:
        outbox: Where the items are kept; closed by its owner.
        model: Shows the items in their chats.
        emit: Called with each list of changes.
    """

    def __init__(
        self, outbox: Outbox, model: Model, emit: Callable[[list[Change]], None]
    ) -> None:
        self._outbox = outbox
        self._model = model
        self._emit = emit
        self._order = SendOrder(MAX_IN_FLIGHT)
        self._waiters: dict[int, Waiter] = {}
        self._wake = asyncio.Event()
        self.limits: Limits | None = None
        for item in outbox.items.values():
            model.apply_item(item)
            if item.state == "waiting":
                self._order.add(item)

    @property
    def items(self) -> list[OutboxItem]:
        """The waiting and refused items, oldest first."""
        return list(self._outbox.items.values())

    async def send(
        self,
        chat: str,
        text: str,
        kind: Kind = "text",
        reply_to: int | None = None,
        waiter: Waiter | None = None,
    ) -> OutboxItem:
        """Write a message to the outbox; ``waiter`` gets the item once it is sent.

        Raises:
            BadNameError: ``chat`` is not an address.
            BadRequestError: The text cannot be encoded.
            TooLargeError: The text is longer than the server accepts.
            OutboxError: It could not be written.
        """
        _, name = parse_address(chat)
        address = chat[0] + name
        self._check(text)
        request = Send(chat=address, text=text, kind=kind, reply_to=reply_to)
        return await self.put(address, request, waiter)

    async def put(
        self, chat: str, request: Request, waiter: Waiter | None = None
    ) -> OutboxItem:
        """Write a request to the outbox, which gives it its key.

        Args:
            chat: The chat that it is about; its requests are sent in their order.
            request: Sending it again has to be harmless, by its key or as it is.
            waiter: Gets the item once the server has carried it out.

        Raises:
            OutboxError: It could not be written.
        """
        return await self._outbox.add(
            chat, request, on_added=partial(self._added, waiter=waiter)
        )

    async def send_and_wait(
        self,
        chat: str,
        text: str,
        timeout: float | None = None,  # noqa: ASYNC109
        *,
        kind: Kind = "text",
        reply_to: int | None = None,
    ) -> OutboxItem:
        """Send a message and wait for its outcome; see ``Link.send_and_wait``."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        item = await self.send(chat, text, kind, reply_to, waiter)
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError as error:
            raise SendTimeoutError(
                f"the server has not confirmed the message within {timeout:g} s",
                item,
            ) from error

    async def retry(self, item_id: int) -> OutboxItem:
        """Send a refused item again, as a new one at the end.

        Raises:
            NoSuchMessageError: There is no refused item of that id.
        """
        item = self._outbox.items.get(item_id)
        if item is None or item.state != "refused":
            raise NoSuchMessageError("there is no refused message of that number")
        self._emit(self._model.apply_item(item, is_discarded=True))
        return await self._outbox.renew(item, on_added=self._added)

    def discard(self, item_id: int) -> OutboxItem:
        """Drop an item; one that is in flight may be on the server all the same.

        Raises:
            NoSuchMessageError: There is no item of that id in the outbox.
        """
        item = self._outbox.items.get(item_id)
        if item is None:
            raise NoSuchMessageError("there is no such message in the outbox")
        self._order.discard(item)
        self._outbox.remove(item)
        waiter = self._waiters.pop(item_id, None)
        if waiter is not None and not waiter.done():
            waiter.cancel()
        self._emit(self._model.apply_item(item, is_discarded=True))
        return item

    async def pump(self, session: Session) -> None:
        """Send what is due, until cancelled; run it once the login is complete.

        Raises:
            ConnectError: The connection broke.
        """
        self._order.disconnect()
        if self.limits is not None:
            # The other half of what the server allows is for other requests.
            half = max(1, self.limits.in_flight // 2)
            self._order.max_in_flight = min(MAX_IN_FLIGHT, half)
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            for item in self._order.due(loop.time()):
                self._transmit(session, item)
            await session.connection.drain()
            resume_at = self._order.next_time()
            try:
                async with asyncio.timeout_at(resume_at):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def give_up(self, error: Exception) -> None:
        """Fail all waiters with ``error``: nothing more will be sent."""
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters.values():
            if not waiter.done():
                waiter.set_exception(error)

    # Inside ---------------------------------------------------------------------------

    def _check(self, text: str) -> None:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            raise BadRequestError("the text is not valid Unicode") from error
        if self.limits is not None and size > self.limits.text:
            raise TooLargeError(
                f"the text has {size} bytes, more than the {self.limits.text} that "
                "the server takes: send it in parts"
            )

    def _added(self, item: OutboxItem, waiter: Waiter | None = None) -> None:
        if waiter is not None:
            self._waiters[item.id] = waiter
        self._order.add(item)
        self._emit(self._model.apply_item(item))
        self._wake.set()

    def _transmit(self, session: Session, item: OutboxItem) -> None:
        try:
            session.post(item.request, partial(self._answered, item))
        except TooLargeError as error:
            self._settle(item, error)

    def _answered(self, item: OutboxItem, reply: ServerMessage) -> None:
        match reply:
            case Sent():
                self._settle(item, None, reply.seq, reply.time)
            case Error():
                error = error_from_code(reply.code, reply.reason, reply.retry_after)
                self._settle(item, error)
            case _ if item.message is not None:
                raise ConnectError("the server answers a message with something else")
            case _:
                self._settle(item, None)

    def _settle(
        self,
        item: OutboxItem,
        error: ChatError | None,
        seq: int | None = None,
        time_ms: int | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        is_done = self._order.answer(item, error, loop.time())
        self._wake.set()
        if item.id not in self._outbox.items:
            return  # discarded meanwhile
        if error is None:
            new = msgspec.structs.replace(
                item, state="sent", seq=seq, time_ms=time_ms, reason=None
            )
            self._outbox.remove(item)
        elif is_done:
            new = msgspec.structs.replace(
                item, state="refused", code=error.code, reason=error.reason
            )
            self._outbox.refuse(new)
        else:
            new = msgspec.structs.replace(item, reason=error.reason)
        if is_done:
            self._release(new, error)
        self._emit(self._model.apply_item(new))

    def _release(self, item: OutboxItem, error: ChatError | None) -> None:
        waiter = self._waiters.pop(item.id, None)
        if waiter is None or waiter.done():
            return
        if error is None:
            waiter.set_result(item)
        else:
            waiter.set_exception(error)

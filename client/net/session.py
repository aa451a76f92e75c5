"""One logged-in connection: many requests at once, pushes, and pings."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from msgspec import Struct

from chatd.protocol.errors import error_from_code
from chatd.protocol.messages import Error, Ping, Request, ServerMessage
from chatd.system.tasks import race
from client.errors import ConnectError, NotConnectedError
from client.net.connection import Connection

Reply = Callable[[ServerMessage], None]


class Timing(Struct, frozen=True, kw_only=True):
    """Timeouts and intervals of the link, in seconds.

    Attributes:
        connect: Timeout for connecting, TLS and the server's hello.
        ping: Pause between two pings.
        dead: How long no byte may arrive after a ping until the link counts as dead.
        backoff_first: Longest wait before the first new attempt.
        backoff_max: Longest wait before any attempt, unless the server asks for more.
        typing: Least time between two typing signals in one chat.
    """

    connect: float = 10.0
    ping: float = 15.0
    dead: float = 10.0
    backoff_first: float = 0.5
    backoff_max: float = 30.0
    typing: float = 3.0


class Session:
    """The requests, pushes and pings of one connection; ends with it.

    Args:
        connection: Logged in.
        on_message: Called with each push, in order.
        on_batch: Called when all messages that arrived at once were handled.
        on_round_trip: Called with each measured round trip, in milliseconds.
        timing: For the pings.
        max_requests: How many requests may be unanswered at once; more wait.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        on_message: Callable[[ServerMessage], None],
        on_batch: Callable[[], None],
        on_round_trip: Callable[[float], None],
        timing: Timing,
        max_requests: int,
    ) -> None:
        self.connection = connection
        self._on_message = on_message
        self._on_batch = on_batch
        self._on_round_trip = on_round_trip
        self._timing = timing
        self._room = asyncio.Semaphore(max_requests)
        self._replies: dict[int, Reply] = {}
        self._futures: set[asyncio.Future[ServerMessage]] = set()
        self._is_over = False

    async def run(self, *others: Coroutine[Any, Any, None]) -> None:
        """Read, ping and run ``others``, until one of these fails or returns.

        Raises:
            ConnectError: The connection broke, or the link is dead.
        """
        work = [self._read(), self._keep_alive(), *others]
        try:
            await race(*work)
        finally:
            self._end()

    async def request(self, request: Request) -> ServerMessage:
        """Send a request and return its reply.

        Raises:
            ChatError: The server refused; the class says how.
            NotConnectedError: The connection broke before the reply.
        """
        async with self._room:
            if self._is_over:
                raise NotConnectedError("the connection broke")
            reply: asyncio.Future[ServerMessage] = asyncio.Future()
            self._futures.add(reply)
            try:
                self.post(
                    request, lambda m: None if reply.done() else reply.set_result(m)
                )
                found = await reply
            finally:
                self._futures.discard(reply)
        if isinstance(found, Error):
            raise error_from_code(found.code, found.reason, found.retry_after)
        return found

    def post(self, request: Request, on_reply: Reply) -> None:
        """Send a request now; ``on_reply`` gets its reply, in order with the pushes.

        It is never called if the connection breaks first.

        Raises:
            TooLargeError: The request does not fit into a frame.
        """
        id_ = self.connection.next_id()
        self.connection.send(request, id_)
        self._replies[id_] = on_reply

    def tell(self, request: Request) -> None:
        """Send a request that has no reply; a refusal is not reported either."""
        self.connection.send_without_id(request)

    async def _read(self) -> None:
        while True:
            for message in await self.connection.receive():
                on_reply = self._replies.pop(message.re or 0, None)
                if on_reply is None:
                    self._on_message(message)
                else:
                    on_reply(message)
            self._on_batch()

    async def _keep_alive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            sent_at = loop.time()
            self.connection.heard.clear()

            def measure(_: ServerMessage, since: float = sent_at) -> None:
                self._on_round_trip((loop.time() - since) * 1_000)

            self.post(Ping(), measure)
            try:
                async with asyncio.timeout(self._timing.dead):
                    await self.connection.heard.wait()
            except TimeoutError as error:
                raise ConnectError(
                    f"the server has been silent for {self._timing.dead:g} s"
                ) from error
            await asyncio.sleep(self._timing.ping)

    def _end(self) -> None:
        self._is_over = True
        self._replies.clear()
        for future in self._futures:
            if not future.done():
                future.set_exception(
                    NotConnectedError("the connection broke before the reply")
                )

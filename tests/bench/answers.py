"""Reads the daemon's replies message by message: for set-up, logins, timing."""

import json
import socket

from chatd.protocol.frames import MAX_BODY_FROM_SERVER, FrameDecoder, encode_frame
from tests.bench.process import BenchError
from tests.bench.target import LoginSteps, run_steps

Request = dict[str, object]


class Answers:
    """Sends requests, and keeps the reply that came last as ``body``."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder(MAX_BODY_FROM_SERVER)
        self._bodies: list[bytes] = []
        self.body = b""

    def next(self, request: Request | None) -> LoginSteps:
        """Send a request, if there is one, and return the next message."""
        if request is not None:
            self._bodies += self._decoder.feed((yield _encode(request)))
        while not self._bodies:
            self._bodies += self._decoder.feed((yield b""))
        self.body = self._bodies.pop(0)

    def answer(self, request: Request) -> LoginSteps:
        """Send a request with an id, and skip what comes before its reply."""
        yield from self.next(request)
        mark = f'"re":{request["id"]}'.encode()
        while mark not in self.body[:64]:
            yield from self.next(None)

    def expect(self, type_: str) -> dict[str, str]:
        """Return the current message, which must be of the given type."""
        found: dict[str, str] = json.loads(self.body)
        if found["type"] != type_:
            raise BenchError(f"{type_} was expected, not {found}")
        return found


def ask(sock: socket.socket, answers: Answers, request: Request, type_: str) -> None:
    """Send a request on a blocking socket; return its reply, of the given type."""
    sock.setblocking(True)
    run_steps(sock, answers.answer(request))
    answers.expect(type_)


def _encode(message: Request) -> bytes:
    return encode_frame(json.dumps(message).encode())

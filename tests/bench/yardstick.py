"""The yardstick: miniircd, a single-file IRC server that stores nothing.

It is asked to do the same work over its own protocol. It confirms no send, does not
echo messages to their senders, holds 1,024 descriptors at most (``select``) and queues
at most five connections that it has not accepted yet; it has no flood control. TLS is
not measured: it ignores what its TLS layer has read ahead, and stalls under load.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.bench.load import Connection, Supply
from tests.bench.process import ServerProcess, free_port
from tests.bench.target import TEXT, LoginSteps, Target, run_steps, wait_for


class Miniircd(Target):
    """A running miniircd; made by ``start``."""

    name = "miniircd"
    delivery = b" PRIVM"
    confirmation = None
    refusal = None
    ping = b"PING x\r\n"
    pong = b" PONG "
    echoes = False
    max_connections = 1_000
    logins_at_once = 5

    @classmethod
    def start(cls, folder: Path) -> "Miniircd":
        """Start it; the caller stops its ``process``."""
        port = free_port()
        command = [sys.executable, "-m", "miniircd"]
        command += ["--listen", "127.0.0.1", "--ports", str(port)]
        if os.getuid() == 0:
            command += ["--setuid", "root"]
        process = ServerProcess(command, folder / "miniircd.log")
        process.start()
        target = cls(process, port, is_tls=False)
        try:
            process.wait_for_port(port)
        except BaseException:
            process.stop()
            raise
        return target

    def login(self, number: int) -> LoginSteps:
        """Register the nick, and wait for the end of the greeting."""
        hello = b"NICK u%05d\r\nUSER u 0 * :u\r\n" % number
        return wait_for(b" 422 ", hello)

    def supply(self, address: bytes, count: int) -> Supply:
        """Return messages that are all the same."""
        line = b"PRIVMSG %b :%b\r\n" % (address, TEXT)
        return Supply(line * min(count, 1_024), len(line), endless=True)

    def address(self, number: int) -> bytes:
        """Return the nick of a user."""
        return b"u%05d" % number

    def make_room(self, members: Sequence[Connection]) -> bytes:
        """Let all users join one channel."""
        for member in members:
            member.sock.setblocking(True)
            run_steps(member.sock, wait_for(b" 366 ", b"JOIN #room\r\n"))
        return b"#room"

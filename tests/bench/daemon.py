"""The daemon under measurement: started as its users run it, with rate limits off."""

import secrets
import sys
from collections.abc import Sequence
from pathlib import Path

from chatd.protocol.frames import encode_frame
from tests.bench.answers import Answers, Request, ask
from tests.bench.load import Connection, Supply
from tests.bench.process import BenchError, ServerProcess, free_port
from tests.bench.target import TEXT, LoginSteps, Target
from tests.bench.users import ITERATIONS, scram_login, user_name

# Ids and counters of keys all have the same number of digits, so that all frames
# have the same size.
FIRST_NUMBER = 1_000_000

CONFIG = """\
[server]
name = "bench"
listen = ["tcp://127.0.0.1:{plain}", "tls://127.0.0.1:{tls}"]

[accounts]
registration = "open"
iterations = {iterations}

[limits]
messages_per_second = 0
address_messages_per_second = 0
registrations_per_hour = 0
"""


class Daemon(Target):
    """A running chatd, reached over plain TCP or over TLS."""

    name = "chatd"
    delivery = b'{"type":"messa'
    confirmation = b'{"type":"sent"'
    refusal = b'{"type":"error'
    ping = encode_frame(b'{"type":"ping","id":1}')
    pong = b'{"type":"pong"'
    echoes = True
    max_connections = 10_000
    logins_at_once = 32
    # The address that the real client connects to.
    link = ""
    # Whether keys do not end in a counter.
    has_any_keys = False

    @classmethod
    def start(
        cls,
        folder: Path,
        data: Path,
        is_tls: bool = False,
        *,
        module: str = "chatd",
        extra: Sequence[str] = (),
    ) -> "Daemon":
        """Start the daemon on a data folder; the caller stops its ``process``.

        Args:
            folder: For the configuration and the log.
            data: The data folder; see ``make_users``.
            is_tls: How the load connects.
            module: The module to run; it takes chatd's arguments after its own.
            extra: The module's own arguments.
        """
        plain, tls = free_port(), free_port()
        config = folder / "config.toml"
        config.write_text(CONFIG.format(plain=plain, tls=tls, iterations=ITERATIONS))
        command = [sys.executable, "-m", module, *extra]
        command += ["--config", str(config), "--data", str(data)]
        process = ServerProcess(command, folder / "chatd.log")
        target = cls(process, tls if is_tls else plain, is_tls)
        process.start()
        try:
            process.wait_for_line(b"ready")
        except BaseException:
            process.stop()
            raise
        if is_tls:
            target.link = f"chat://127.0.0.1:{tls}/?pin={_fingerprint(process)}"
        else:
            target.link = f"tcp://127.0.0.1:{plain}"
        return target

    def login(self, number: int) -> LoginSteps:
        """Log in by SCRAM."""
        return scram_login(number)

    def supply(self, address: bytes, count: int) -> Supply:
        """Return messages that each have their own id and key."""
        # 132 random bits, then a counter: what an outbox on disk does.
        key = f"{secrets.token_urlsafe(16)}-%d"
        if self.has_any_keys:
            key = f"%d.{secrets.token_hex(8)}"
        template = (
            f'{{"type":"send","id":%d,"chat":"{address.decode()}",'
            f'"text":"{TEXT.decode()}","key":"{key}"}}'
        )
        first = encode_frame((template % (FIRST_NUMBER, FIRST_NUMBER)).encode())
        # The length prefix may contain a byte that is a percent sign.
        whole = first[:4].replace(b"%", b"%%") + template.encode()
        frames = b"".join(
            [
                whole % (number, number)
                for number in range(FIRST_NUMBER, FIRST_NUMBER + count)
            ]
        )
        return Supply(frames, len(first))

    def address(self, number: int) -> bytes:
        """Return the address of a user."""
        return f"@{user_name(number)}".encode()

    def make_room(self, members: Sequence[Connection]) -> bytes:
        """Let the first user make a public room, and all others join it."""
        for number, member in enumerate(members):
            verb = "join" if number else "create"
            request: Request = {"type": verb, "id": 1, "room": "#room"}
            ask(member.sock, Answers(), request, "joined")
        return b"#room"


def _fingerprint(process: ServerProcess) -> str:
    for line in process.output().decode().splitlines():
        if line.startswith("fingerprint"):
            return line.split()[1]
    raise BenchError("chatd has not told its fingerprint")

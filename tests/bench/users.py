"""The users of the benchmarks: all with one password and salt, derived once.

The server is what is measured: no workload waits for a client's PBKDF2.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from base64 import b64decode, b64encode
from pathlib import Path

from chatd.accounts.scram import derive_verifier
from chatd.accounts.user_table import Change, UserRecord, UserTable
from tests.bench.answers import Answers
from tests.bench.process import BenchError
from tests.bench.target import LoginSteps

PASSWORD = "correct horse battery"
ITERATIONS = 4_096
_SALT = b"bench-bench-salt"

_salted = hashlib.pbkdf2_hmac("sha256", PASSWORD.encode(), _SALT, ITERATIONS)
_client_key = hmac.digest(_salted, b"Client Key", "sha256")
_stored_key = hashlib.sha256(_client_key).digest()
_client_key_bits = int.from_bytes(_client_key)


def user_name(number: int) -> str:
    """Return the name of a user; all have the same length."""
    return f"u{number:05d}"


def make_users(folder: Path, count: int) -> None:
    """Put ``count`` users into the table of a data folder that has none."""
    asyncio.run(_make_users(folder, count))


async def _make_users(folder: Path, count: int) -> None:
    verifier = derive_verifier(PASSWORD, ITERATIONS, _SALT)
    now_ms = time.time_ns() // 1_000_000
    table = UserTable.open(folder)
    async with asyncio.TaskGroup() as tasks:
        for number in range(count):
            record = UserRecord(user_name(number), "member", now_ms, scram=verifier)
            tasks.create_task(table.update(record.name, _always(record)))
    await table.close()


def _always(record: UserRecord) -> Change:
    return lambda _: record


def scram_login(number: int) -> LoginSteps:
    """Log in by SCRAM-SHA-256, with the client's key derived beforehand."""
    answers = Answers()
    yield from answers.next(None)
    answers.expect("hello")
    first = f"n={user_name(number)},r={secrets.token_urlsafe(18)}"
    auth = {"mechanism": "SCRAM-SHA-256", "data": f"n,,{first}"}
    yield from answers.next({"type": "auth", "id": 1, **auth})
    challenge = answers.expect("challenge")["data"]
    yield from answers.next({"type": "auth", "id": 2, "data": _final(first, challenge)})
    answers.expect("ready")
    yield from _until_synced(answers)


def token_login(token: str) -> LoginSteps:
    """Log in by a token."""
    answers = Answers()
    yield from answers.next(None)
    answers.expect("hello")
    auth = {"mechanism": "TOKEN", "token": token}
    yield from answers.next({"type": "auth", "id": 1, **auth})
    answers.expect("ready")
    yield from _until_synced(answers)


def remembering_login(number: int, tokens: list[str]) -> LoginSteps:
    """Log in by password, and add the token of the reply to ``tokens``."""
    answers = Answers()
    yield from answers.next(None)
    auth = {"mechanism": "PLAIN", "user": user_name(number), "password": PASSWORD}
    yield from answers.next({"type": "auth", "id": 1, "remember": True, **auth})
    tokens.append(answers.expect("ready")["token"])
    yield from _until_synced(answers)


def _until_synced(answers: Answers) -> LoginSteps:
    while not answers.body.startswith(b'{"type":"synced"'):
        yield from answers.next(None)


def _final(client_first: str, server_first: str) -> str:
    nonce, salt, iterations = (part[2:] for part in server_first.split(","))
    if b64decode(salt) != _SALT or int(iterations) != ITERATIONS:
        raise BenchError("the server does not know the users of the bench")
    bare = f"c=biws,r={nonce}"
    message = f"{client_first},{server_first},{bare}".encode()
    signature = hmac.digest(_stored_key, message, "sha256")
    proof = (_client_key_bits ^ int.from_bytes(signature)).to_bytes(32)
    return f"{bare},p={b64encode(proof).decode()}"

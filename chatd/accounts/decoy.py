"""Decoy verifiers, with which logins of unknown users are answered.

A stranger must not learn from the challenge who has an account. So a name that has none
gets a salt and an iteration count all the same: always the same ones as long as the
table's mix of iteration counts stays, and ones that real users could have.
"""

import hmac
import math
from collections.abc import Mapping

from chatd.accounts.scram import SALT_BYTES, Verifier


def make_decoy(
    secret: bytes, name: str, counts: Mapping[int, int], default_iterations: int
) -> Verifier:
    """Return a verifier for a name without an account; no password matches it.

    Args:
        secret: The table's secret, without which no one can compute the salt.
        name: The canonical name, or the invalid one that the client sent.
        counts: How many users each iteration count has.
        default_iterations: The iteration count for a table without users.
    """
    key = name.encode("utf-8", "surrogatepass")
    iterations = _choose(secret, key, counts) or default_iterations
    # The count is part of the seed: when a new mix of counts gives the name another
    # count, the salt changes too, as if the user had changed the password.
    seed = b"%d\0%b" % (iterations, key)
    return Verifier(
        salt=hmac.digest(secret, b"salt\0" + seed, "sha256")[:SALT_BYTES],
        iterations=iterations,
        stored_key=hmac.digest(secret, b"stored\0" + seed, "sha256"),
        server_key=hmac.digest(secret, b"server\0" + seed, "sha256"),
    )


def _choose(secret: bytes, key: bytes, counts: Mapping[int, int]) -> int:
    """Choose a count in proportion to its users, by weighted rendezvous hashing.

    So one user more or less changes the choice for few names only.
    """
    present = [(iterations, users) for iterations, users in counts.items() if users > 0]
    if len(present) <= 1:
        return present[0][0] if present else 0
    return max(present, key=lambda entry: _score(secret, key, *entry))[0]


def _score(secret: bytes, key: bytes, iterations: int, users: int) -> float:
    digest = hmac.digest(secret, b"count\0%d\0%b" % (iterations, key), "sha256")
    fraction = (int.from_bytes(digest[:6], "big") + 1) / (2**48 + 1)
    return -users / math.log(fraction)

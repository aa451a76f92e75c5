"""Made-up verifiers: what a login of an unknown user is answered with.

A stranger must not learn from the challenge who has an account. So a name that has none
gets a salt and an iteration count all the same: always the same ones while the table's
mix of counts stays, and such as real users have.
"""

import hmac
import math
from collections.abc import Mapping

from chatd.accounts.scram import SALT_BYTES, Verifier


def make_decoy(
    secret: bytes, name: str, counts: Mapping[int, int], default_iterations: int
) -> Verifier:
    """Return a verifier for a name without account; no password fits it.

    Args:
        secret: The table's secret, without which nobody can compute the salt.
        name: The canonical name, or what was given instead of one.
        counts: How many users there are of each iteration count.
        default_iterations: For a table that has no users.
    """
    key = name.encode("utf-8", "surrogatepass")
    iterations = _choose(secret, key, counts) or default_iterations
    # The count is part of it: when a new mix of counts gives the name another count, it
    # gets another salt too, which looks like a user who has changed the password.
    seed = b"%d\0%b" % (iterations, key)
    return Verifier(
        salt=hmac.digest(secret, b"salt\0" + seed, "sha256")[:SALT_BYTES],
        iterations=iterations,
        stored_key=hmac.digest(secret, b"stored\0" + seed, "sha256"),
        server_key=hmac.digest(secret, b"server\0" + seed, "sha256"),
    )


def _choose(secret: bytes, key: bytes, counts: Mapping[int, int]) -> int:
    """Choose a count in proportion to its users, by weighted rendezvous hashing.

    A user more or less thus changes the choice of few names only.
    """
    present = [(iterations, users) for iterations, users in counts.items() if users > 0]
    if len(present) <= 1:
        return present[0][0] if present else 0
    return max(present, key=lambda entry: _score(secret, key, *entry))[0]


def _score(secret: bytes, key: bytes, iterations: int, users: int) -> float:
    digest = hmac.digest(secret, b"count\0%d\0%b" % (iterations, key), "sha256")
    fraction = (int.from_bytes(digest[:6], "big") + 1) / (2**48 + 1)
    return -users / math.log(fraction)

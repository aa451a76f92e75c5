"""Accounts and authentication: user table, passwords, SCRAM, tokens, invite codes.

``accounts`` is the facade of all of it. ``user_table`` is ``users.json``;
``passwords``, ``hashing`` and ``scram`` make and check verifiers; ``login`` puts them
together with ``throttle``, which slows down guessers, and ``decoy``, which answers for
users who do not exist; ``tokens`` and ``invites`` are kept in the store.
"""

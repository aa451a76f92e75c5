"""Who may log in: the user table, passwords, SCRAM, tokens and invite codes.

``accounts`` is the front for all of it. ``table`` is ``users.json``; ``passwords``,
``hashing`` and ``scram`` make and check verifiers; ``login`` puts them together with
``throttle``, which slows down guessers, and ``decoy``, which answers for users who do
not exist; ``tokens`` and ``invites`` are kept in the store.
"""

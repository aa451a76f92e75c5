"""The chat rules, without sockets, JSON or SQL; the clock is passed in.

``service`` is the entry point for listeners; ``chats`` and ``rooms`` have the
operations on a log and on a room; ``hub`` fans out to connected users (``sessions``),
and ``changes`` says what an entry changes for them;
``feed`` brings one connection up to date and keeps it so; ``presence`` reports who is
online; ``limits`` has the rate limits.

The folder ``files`` does the same for files.
"""

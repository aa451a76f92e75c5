"""chat: the terminal client of chatd, and a library for bots.

``link`` connects, logs in, stays connected and sends exactly once; ``model`` is what
the client knows, without I/O; ``streams`` hands it out as iterators. ``cli`` is the
program: ``line`` is its face for people, ``pipes`` that for scripts, and ``commands``
has the /commands. Of the daemon only ``chatd.protocol`` is used.
"""

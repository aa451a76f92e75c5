"""chat: the terminal client of chatd, and a library for bots.

``link`` is the library: it connects, logs in, stays connected and sends exactly once,
over ``model``, ``storage``, ``net`` and ``transfers``. ``cli`` is the program, with
three frontends: ``ui`` (the full screen), ``line`` and ``plain``; ``commands`` has
their /commands. ``README.md`` beside this file shows where everything stands.
"""

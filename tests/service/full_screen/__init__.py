"""The full screen as a whole, at a scripted server, on a terminal in memory.

``person`` is the user who sits at it. ``layout``, ``panels`` and ``terminal`` test what
is shown where; ``navigation``, ``finding``, ``position`` and ``reading`` the ways to
a chat and in it; ``sending`` and ``selection`` what the user does there; ``events`` and
``silence`` what the server does, or does not; ``config`` the settings of
``client.toml``; ``lazy_assets`` and ``work`` what it costs.
"""

"""The full screen as a whole, at a scripted server, on a terminal in memory.

``person`` is somebody who sits at it. In the order of what a person does: ``layout``,
``panels`` and ``terminal`` are what is seen where; ``navigation``, ``finding``,
``position`` and ``reading`` the ways to a chat and in it; ``sending`` and ``selection``
what is done there; ``events`` and ``silence`` what the server does, or does not;
``config`` what ``client.toml`` says; ``lazy_assets`` and ``work`` what it costs.
"""

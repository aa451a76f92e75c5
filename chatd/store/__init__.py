"""Where chats are kept.

``base`` is the interface, with its rules; ``values`` are what it takes and returns;
``sqlite`` is the implementation that needs nothing but the data folder. Nothing above
knows which one it has.
"""

"""What is kept on this device: its files and databases, each for their owner alone.

``paths`` says where; ``json_file``, ``sqlite``, ``file_lock`` and ``deferred_file`` are
the ways to keep something; ``cache``, ``outbox``, ``pins``, ``saved_logins`` and
``preferences`` are what is kept.
"""

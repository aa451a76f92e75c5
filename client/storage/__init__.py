"""The client's files and databases on this device, private to the user.

``paths`` says where they are; ``json_file``, ``sqlite``, ``row_owner`` and
``deferred_file`` are how data is stored; ``cache``, ``outbox``, ``pins``,
``saved_logins`` and ``preferences`` are what is stored.
"""

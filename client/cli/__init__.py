"""The program ``chat``: its command line, the first run, and commands for scripts.

``main`` is the root command and ``options`` what the commands share; ``open_chat`` runs
a frontend, after ``first_run`` has asked its ``questions``. ``chat_commands`` and
``file_commands`` are the commands for scripts; a ``script`` gives them a link, over
which ``chat_io`` and ``file_io`` work, and ``script_status`` reports their status.
"""

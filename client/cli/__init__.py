"""The program ``chat``: its command line, the first run, and what scripts call.

``main`` is the root command and ``options`` what its commands take; ``open_chat`` picks
the face, after ``first_run`` has asked its ``questions``. ``chat_commands`` and
``file_commands`` are the commands of scripts; ``run_chat`` and ``run_files`` carry them
out with ``chat_io`` and ``file_io``, and ``script_status`` is what they say meanwhile.
"""

"""Files: uploads, downloads, and how a complete upload becomes a message.

``rules`` handles the requests of clients; ``transfers`` has the transfers, each of
which a ticket permits (``tickets``) and a data connection runs; ``quota`` checks sizes
and free space; ``sealing`` appends a complete upload to the log; ``sweep`` removes
expired files and leftovers.
"""

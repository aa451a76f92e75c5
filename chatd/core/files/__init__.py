"""Files: what may be sent and fetched, and how an upload becomes a message.

``rules`` has the requests of clients; ``transfers`` runs what ``tickets`` permit on
connections of their own; ``quota`` says whether the disk has space; ``sealing`` puts a
complete upload into the log; ``sweep`` removes what is old or left over.
"""

"""Listeners translate between a wire and the service; no rule lives here.

``native`` speaks the protocol of ``chatd/protocol/README.md`` with clients; ``admin``
takes the commands of the command line over a Unix socket in the data folder.
"""

"""Listeners: translate between a wire protocol and the service; no chat rules here.

``native`` speaks the protocol of ``chatd/protocol/README.md`` with clients; ``sockets``
opens the addresses, and ``gate`` admits and ends connections, for all listeners.
``admin`` serves the commands of the command line on a Unix socket in the data folder.
"""

"""The native protocol: length-prefixed JSON over TLS, TCP or a Unix socket.

``listener`` opens the addresses and closes idle connections; ``connection`` reads one
connection and answers it; ``outbox`` joins writes; ``handshake`` handles registration
and login; ``dispatch`` turns requests into calls of the service; ``data`` is a
connection that carries a file, and ``intake`` reads the bytes of an upload.
"""

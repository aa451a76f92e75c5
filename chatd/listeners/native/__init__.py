"""The native protocol: length-prefixed JSON over TLS, TCP or a Unix socket.

``listener`` opens the addresses and watches over idle connections; ``connection`` reads
one connection and answers it; ``outbox`` joins what is written; ``handshake`` is what
may be said before and for a login; ``dispatch`` turns requests into calls of the
service; ``data`` is what a connection is that carries a file, and ``intake`` takes its
bytes in.
"""

"""The native protocol: length-prefixed JSON over TLS, TCP or a Unix socket.

Without a transport: ``requests`` answers one client's requests in order, ``dispatch``
says when each is legal and turns it into a call of the service, ``handshake`` is
registration and login, ``bodies`` encodes what is sent most, and ``peer`` is what they
need. Over streams: ``listener`` and ``connection``; ``outbox`` joins writes; ``data``
is a connection that carries a file, and ``intake`` reads the bytes of an upload.
"""

"""Files on their way: the transfer engine of the client.

``transfers`` is what faces and bots use (``link.transfers``); the rest is its parts.
Which thread does what: decisions, journal entries and everything that is told happen on
the face's loop; every byte is read, hashed, written or sent in the ``worker``.

    transfers    what can be asked for, and the list of transfers
    roster       the list of what this process moves
    job, upload, download    what becomes of one transfer, on the face's loop
    desk, slots, progress    what they share; whose turn it is; what they count
    journal, takeover    what has to survive the process, and who goes on with it
    worker       the thread with its own loop, and the threads that touch the disk
    data, outgoing, incoming, intake    a data connection: bytes in one direction
    source, spool, partial    the file that is sent, one made of a stream, one coming
    names        harmless names, and how a name is claimed without replacing anything
"""

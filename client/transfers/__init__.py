"""Files on their way: the transfer engine of the client.

``transfers`` is what faces and bots use (``link.transfers``); the rest is its parts.
Which thread does what: decisions, journal entries and everything that is told happen on
the face's loop; every byte is read, hashed, written or sent in the ``worker_thread``.

    transfers    what can be asked for, and the list of transfers
    job_list     the list of what this process moves
    job, upload, download    what becomes of one transfer, on the face's loop
    context, turn_queue, progress    what jobs share; whose turn it is; what they count
    journal, records    what has to survive the process, and its rows
    recovery, adoption    what a killed process left, and who goes on with it
    worker_thread    the thread with its own loop, and the threads that touch the disk
    data_connection    bytes in one direction: upload_connection, download_connection
    receive_buffers    where the bytes that come in are put
    source, stream_copy, partial_file    the file that is sent, one made of a stream,
                 the one that is coming in
    file_names   harmless names, and how a name is claimed without replacing anything
    private_folder    folders of this process alone, for what is kept nowhere
"""

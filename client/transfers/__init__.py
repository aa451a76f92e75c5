"""The transfer engine of the client: resumable uploads and downloads.

``transfers`` is what frontends and bots use (``link.transfers``); the rest is its
parts. Which thread does what: jobs decide, order journal writes and report on the
frontend's event loop; every byte is read, hashed, written or sent in the
``worker_thread``.

    transfers    the interface: send, get, cancel, wait; the list of transfers
    job_list     the jobs of this process, and the reports of their progress
    job, upload, download    the state of one transfer, on the frontend's event loop
    context, turn_queue, progress    what jobs share; their turns; byte counters
    journal, records    what has to survive the process, and its rows
    recovery, adoption    what a killed process left, and which process resumes it
    worker_thread    the thread with its own event loop, and its threads for the disk
    data_connection    bytes in one direction: upload_connection, download_connection
    receive_buffers    buffers for incoming bytes
    source, stream_copy, partial_file    the file to send, a copy made of a stream,
                 the unfinished file of a download
    file_names   safe names, and how a name is claimed without replacing anything
    private_folder    folders of this process alone, for files that are not kept
"""

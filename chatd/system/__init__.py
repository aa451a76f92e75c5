"""What daemon and client both need of the operating system; the lowest room.

``atomic_file`` replaces a file as a whole, so that a crash leaves the old or the new.
"""

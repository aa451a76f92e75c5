"""One connection to a server: found, trusted, logged in, and spoken over.

``address`` parses addresses and join links; ``connect`` opens a ``connection`` and
checks the server's key; ``login``, ``scram`` and ``authenticator`` log in; ``session``
has many requests under way at once; ``retry`` says when to try again.
"""

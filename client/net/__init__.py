"""One connection to a server: address, TLS and key check, login, requests.

``address`` parses addresses and join links; ``connect`` opens a ``connection`` and
checks the server's key; ``login``, ``scram`` and ``authenticator`` log in; ``session``
runs many requests at once over it; ``retry`` decides when to try again.
"""

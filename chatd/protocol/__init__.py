"""The wire protocol, shared by daemon and clients; nothing here does I/O.

``README.md`` beside this file is the contract; the modules are its executable form:
``frames`` (bytes and bodies), ``messages`` (all types), ``entries`` (an item of a
log as JSON), ``names`` (users, rooms, addresses), ``rights`` (who may do what in a
room), ``links`` (join links and key fingerprints) and ``errors`` (the tree of
exceptions, refusals with codes).
"""

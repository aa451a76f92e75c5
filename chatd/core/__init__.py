"""The rules of chatting: no sockets, no JSON, no SQL; the clock is passed in.

``service`` is the front that listeners call; ``chats`` and ``rooms`` hold what one may
do with a log and with a room; ``hub`` knows who is connected and fans out; ``feed``
brings one connection up to date and keeps it so; ``presence`` tells who is there;
``limits`` bounds rates.

Of files, ``files`` has what one may ask for, ``transfers`` what ``tickets`` permit on a
connection of its own; ``quota`` says whether there is room, ``sealing`` puts a complete
upload into the log, and ``sweep`` removes what is old or left over.
"""

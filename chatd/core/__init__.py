"""The rules of chatting: no sockets, no JSON, no SQL; the clock is passed in.

``service`` is the front that listeners call; ``chats`` and ``rooms`` hold what one may
do with a log and with a room; ``hub`` fans out to those who are connected
(``sessions``); ``feed`` brings one connection up to date and keeps it so; ``presence``
tells who is there; ``limits`` bounds rates.

The folder ``files`` has all of this for files.
"""

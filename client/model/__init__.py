"""The client's model of chats and users, pure: values, changes, and the reducer.

``entries`` are the values; ``model`` applies the server's messages to them and returns
``changes``; ``chat`` is one chat of the model.
"""

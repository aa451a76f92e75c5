"""What is known of chats and people, pure: values, changes, and the model itself.

``entries`` are the values; ``model`` applies what the server says to them and returns
``changes``; ``chat`` is one chat of it.
"""

"""The client's exceptions: the tree below ``LinkError``.

    LinkError                     any of these
     ├── BadAddressError          the address of a server cannot be understood
     ├── ConnectError             the server cannot be reached, or hung up; try again
     │    └── PeerError           it answered, but does not speak our protocol
     ├── NotConnectedError        a request was made while offline
     ├── InsecureError            a secret would cross the network in the clear
     ├── ServerProofError         the server does not know the password it should know
     ├── NoLoginError             there is neither a password nor a token to log in with
     ├── SendTimeoutError         a message was not confirmed in time
     ├── TransferError            a file cannot be sent or fetched, or not any more
     │    └── JournalError        (transfers.journal) the journal cannot be used
     │         └── TakenOverError (transfers.journal) another process continues it
     ├── EventsLostError          a reader of events was too slow
     ├── ClientFileError          (config.config_file) client.toml cannot be used
     ├── DamagedFileError         (storage.json_file) a file of this program is damaged
     ├── NewerDatabaseError       (storage.sqlite) a file is of a newer version
     ├── OutboxError              (storage.outbox) a message could not be written to it
     ├── PasswordNeededError      (net.authenticator) the user has to be asked
     ├── LocalPathError           (commands.local_paths) a path that cannot be used
     ├── NoSuchFileError          (commands.file_list) a chat has no such file
     ├── EditorError              (ui.composer.editor) the editor cannot be used
     └── ServerKeyError           the server's key:
          ├── UnknownKeyError     never seen before: ask, then pin
          └── ChangedKeyError     not the one that was pinned: refuse

Refusals by the server are ``chatd.protocol.errors.ChatError``.
"""

from client.model.entries import OutboxItem, Transfer


class LinkError(Exception):
    """Something between this device and the server; the text is for people."""


class BadAddressError(LinkError):
    """The address of a server cannot be understood."""


class ConnectError(LinkError):
    """The server cannot be reached, or hung up; trying again may help.

    Args:
        reason: One sentence for people.
        retry_after_seconds: How long the server asks to wait, if it said so.
    """

    def __init__(self, reason: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds


class PeerError(ConnectError):
    """The peer answers, but not in our protocol."""


class NotConnectedError(LinkError):
    """A request was made while offline, or the link broke before its reply."""


class InsecureError(LinkError):
    """A secret would cross the network in the clear."""


class ServerProofError(LinkError):
    """The server could not prove that it knows the password's verifier."""


class NoLoginError(LinkError):
    """There is neither a password nor a remembered login."""


class SendTimeoutError(LinkError):
    """A message was not confirmed in time; it stays in the outbox.

    Attributes:
        item: The message, for ``link.outbox.discard`` or to look after later.
    """

    def __init__(self, reason: str, item: OutboxItem) -> None:
        super().__init__(reason)
        self.item = item


class TransferError(LinkError):
    """A file cannot be sent or fetched; the text says why and what can be done.

    Args:
        reason: One sentence for people.
        code: For programs: the server's, where it refused, else one of ``cancelled``,
            ``changed`` (the file to be sent was modified), ``damaged`` (what was
            received is not what was sent), ``exists``, ``no_such_file``,
            ``no_such_transfer``, ``not_a_file``, ``storage_full``, ``taken`` (another
            process of this user continues it), ``too_large``, ``unreadable``,
            ``unwritable`` and ``internal``.
        transfer: The transfer that failed, None if there was none yet.
    """

    def __init__(
        self, reason: str, code: str, transfer: Transfer | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.transfer = transfer


class EventsLostError(LinkError):
    """A reader of events was too slow, and some were dropped."""


class ServerKeyError(LinkError):
    """The key of the server is not one that may be trusted.

    Attributes:
        server: The address under which the pin store keeps it.
        fingerprint: Of the key that the server showed.
    """

    def __init__(self, message: str, server: str, fingerprint: str) -> None:
        super().__init__(message)
        self.server = server
        self.fingerprint = fingerprint


class UnknownKeyError(ServerKeyError):
    """No authority vouches for the server, and its key was never seen before.

    Ask the server's operator for the fingerprint, then ``PinStore.trust`` it.
    """

    def __init__(self, server: str, fingerprint: str) -> None:
        super().__init__(
            f"{server} is not known yet: its key has the fingerprint {fingerprint}. "
            f"If that is what whoever runs the server says, accept it with: "
            f"chat trust {server} {fingerprint}",
            server,
            fingerprint,
        )


class ChangedKeyError(ServerKeyError):
    """The server shows another key than the one that is pinned.

    Attributes:
        old: The pinned fingerprint, or a description of what was trusted.
        new: The fingerprint of the key shown now.
    """

    def __init__(self, server: str, old: str, new: str) -> None:
        super().__init__(
            f"the key of {server} has changed, so nothing was sent to it: "
            f"expected {old}, but it shows {new}. Either the server has a new key, or "
            f"somebody stands in between. If whoever runs the server confirms the new "
            f"fingerprint, accept it with: chat trust {server} {new}",
            server,
            new,
        )
        self.old = old
        self.new = new

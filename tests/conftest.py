"""Options and fixtures for all tests."""

import signal

import pytest
from hypothesis import settings

# A shell that starts the tests in the background has them ignore Ctrl+C, and so would
# all programs that they start, of which some are to end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The duration of an example says nothing on a machine that has other work.
settings.register_profile("chatd", deadline=None)
settings.load_profile("chatd")

pytest.register_assert_rewrite(
    "tests.fakes.raw_client",
    "tests.helpers",
    "tests.service.blobs_conformance",
    "tests.service.store_conformance",
    "tests.service.store_conformance_chats",
    "tests.service.store_conformance_files",
    "tests.service.store_conformance_keys",
    "tests.service.store_model",
    "tests.system.crash",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the long runs."""
    group = parser.getgroup("chatd")
    group.addoption(
        "--crash-kills",
        type=int,
        default=5,
        metavar="N",
        help="how often the crash test kills the daemon (default: 5)",
    )
    group.addoption(
        "--transfer-kills",
        type=int,
        default=12,
        metavar="N",
        help="how often the test of files kills the daemon or a client (default: 12)",
    )
    group.addoption(
        "--seed",
        type=int,
        default=None,
        metavar="N",
        help="the seed of the tests with chance in them (default: a new one, printed)",
    )

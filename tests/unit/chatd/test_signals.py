"""Signals: who subscribed is told, and only of what they subscribed to."""

from chatd.core.signals import Signals, Typing, UserEnded


def test_each_type_has_its_subscribers_in_their_order() -> None:
    signals = Signals()
    told: list[object] = []
    signals.subscribe(Typing, lambda typing: told.append(("first", typing)))
    signals.subscribe(Typing, lambda typing: told.append(("second", typing)))
    signals.subscribe(UserEnded, told.append)
    signals.publish(Typing(7, "alice"))
    signals.publish(object())
    ended = UserEnded("bob", "deleted")
    signals.publish(ended)
    typing = Typing(7, "alice")
    assert told == [("first", typing), ("second", typing), ended]

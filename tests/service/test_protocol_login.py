"""Sections 3 and 4 of the protocol: names, registering, logging in, the backlog."""

import asyncio
import base64
import hashlib
import itertools
import ssl
from itertools import pairwise

import pytest
from scramp import ScramClient

from tests.fakes.raw_client import PASSWORD, RawClient
from tests.helpers import fresh_name, logged_in, texts
from tests.service.conftest import Served, device

pytestmark = pytest.mark.system


# 3. Names and addresses ------------------------------------------------------------


async def test_case_does_not_distinguish_names(stranger: RawClient) -> None:
    name = fresh_name("Zoë")
    registered = await stranger.register(name.upper())
    assert registered["user"] == name.lower()
    code = await stranger.refusal("register", user=name, password=PASSWORD)
    assert code == "name_taken"
    assert (await stranger.login(name.title()))["user"] == name.lower()


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "-a",
        "_a",
        ".a",
        "a b",
        "a@b",
        "a/b",
        "a\n",
        "x" * 33,
        "\u2460x",
        "a\u200bb",
    ],
)
async def test_a_name_against_the_rules_is_a_bad_name(
    stranger: RawClient, name: str
) -> None:
    code = await stranger.refusal("register", user=name, password=PASSWORD)
    assert code == "bad_name"


async def test_a_name_may_have_32_code_points_of_any_script(
    stranger: RawClient,
) -> None:
    name = fresh_name("李雷и") + "é" * 20
    registered = await stranger.register(name)
    assert registered["user"] == name
    await stranger.login_by_scram(name)


async def test_each_sees_a_direct_chat_from_the_own_side(
    alice: RawClient, bob: RawClient
) -> None:
    sent = await alice.say(f"@{bob.user.upper()}", "hi")
    assert sent["chat"] == f"@{bob.user}"
    assert (await alice.expect("message"))["chat"] == f"@{bob.user}"
    assert (await bob.expect("message"))["chat"] == f"@{alice.user}"


async def test_ones_own_name_is_a_note_to_self(
    server: Served, alice: RawClient
) -> None:
    chat = f"@{alice.user}"
    await alice.say(chat, "milk")
    assert (await alice.expect("message"))["chat"] == chat
    assert texts(await alice.log(chat)) == ["milk"]
    async with await RawClient.connect(server.tcp) as again:
        (record,) = (await again.login(alice.user))["chats"]
        assert (record["chat"], record["unread"]) == (chat, 0)


@pytest.mark.parametrize("chat", ["bob", "@", "#", "@a b", "!x", "@@bob", "#-x"])
async def test_what_is_no_address_is_refused(alice: RawClient, chat: str) -> None:
    code = await alice.refusal("send", chat=chat, text="x")
    assert code in ("bad_name", "bad_request")


async def test_a_room_name_is_canonical_and_up_to_64_long(alice: RawClient) -> None:
    name = fresh_name("Room") + "x" * 50
    joined = await alice.ask("create", room=f"#{name}")
    assert joined["chat"]["chat"] == f"#{name.lower()}"
    assert await alice.refusal("create", room="#" + "x" * 65) == "bad_name"


# 4. Connecting and registering -----------------------------------------------------


async def test_the_server_speaks_first(stranger: RawClient) -> None:
    hello = await stranger.expect("hello")
    assert stranger.history[0] is hello
    assert hello["protocol"] == 1
    assert hello["server"].startswith("chatd ")
    assert hello["name"] == "Lab 3"
    assert hello["registration"] == "open"
    assert isinstance(hello["time"], int)
    assert set(hello["auth"]) == {"SCRAM-SHA-256", "PLAIN", "TOKEN"}


async def test_over_tls_channel_binding_is_offered_too(
    tls_stranger: RawClient,
) -> None:
    hello = await tls_stranger.expect("hello")
    assert set(hello["auth"]) == {
        "SCRAM-SHA-256",
        "SCRAM-SHA-256-PLUS",
        "PLAIN",
        "TOKEN",
    }


async def test_registering_does_not_log_in(stranger: RawClient) -> None:
    await stranger.register(fresh_name())
    assert await stranger.refusal("rooms") == "not_authenticated"


@pytest.mark.parametrize(
    "password", ["", "short12", "x" * 1025, "é" * 513, "a\0bcdefgh"]
)
async def test_a_weak_password_is_refused_with_a_reason(
    stranger: RawClient, password: str
) -> None:
    name = fresh_name()
    answer = await stranger.request("register", user=name, password=password)
    assert answer["code"] == "weak_password"
    assert len(answer["reason"]) > 20
    await stranger.register(name)


@pytest.mark.parametrize(
    "password", ["x" * 8, "x" * 1024, "pässwörd", "\u2168 and more"]
)
async def test_a_good_password_logs_in_by_every_mechanism(
    server: Served, password: str
) -> None:
    name = fresh_name()
    async with await RawClient.connect(server.tcp) as client:
        await client.register(name, password)
        await client.login(name, password)
    async with await RawClient.connect(server.tcp) as client:
        await client.login_by_scram(name, password)


async def test_of_many_who_register_a_name_one_wins(server: Served) -> None:
    name = fresh_name()
    clients = [await RawClient.connect(server.tcp) for _ in range(10)]
    answers = await asyncio.gather(
        *(
            client.request("register", user=name, password=f"password {n}")
            for n, client in enumerate(clients)
        )
    )
    won = [n for n, a in enumerate(answers) if a["type"] == "registered"]
    assert len(won) == 1
    assert {a.get("code") for a in answers} == {None, "name_taken"}
    await clients[0].login(name, f"password {won[0]}")
    for client in clients:
        await client.close()


# 4. Logging in ---------------------------------------------------------------------


async def test_scram_logs_in_and_proves_the_server(
    tls_stranger: RawClient, alice: RawClient
) -> None:
    ready = await tls_stranger.login_by_scram(alice.user)
    assert ready["user"] == alice.user


def end_point(client: RawClient) -> bytes:
    """Return ``tls-server-end-point`` of a connection (RFC 5929)."""
    tls: ssl.SSLObject = client.writer.get_extra_info("ssl_object")
    certificate = tls.getpeercert(binary_form=True)
    assert certificate is not None
    return hashlib.sha256(certificate).digest()


async def test_scram_plus_binds_to_the_certificate(
    tls_stranger: RawClient, alice: RawClient
) -> None:
    binding = ("tls-server-end-point", end_point(tls_stranger))
    await tls_stranger.login_by_scram(alice.user, channel_binding=binding)


async def test_scram_plus_with_another_certificate_fails(
    tls_stranger: RawClient, alice: RawClient
) -> None:
    plus, binding = "SCRAM-SHA-256-PLUS", ("tls-server-end-point", b"x" * 32)
    scram = ScramClient([plus], alice.user, PASSWORD, binding)
    challenge = await tls_stranger.ask(
        "auth", mechanism=plus, data=scram.get_client_first()
    )
    scram.set_server_first(challenge["data"])
    code = await tls_stranger.refusal(
        "auth", mechanism=plus, data=scram.get_client_final()
    )
    assert code == "auth_failed"


async def test_a_stripped_offer_of_channel_binding_is_noticed(
    tls_stranger: RawClient, alice: RawClient
) -> None:
    # RFC 5802, section 6: "y" says that the client would, had the server offered it.
    first = f"y,,n={alice.user},r=abcdefghijklmnop"
    answer = await tls_stranger.request("auth", mechanism="SCRAM-SHA-256", data=first)
    if answer["type"] == "challenge":
        nonce = answer["data"].split(",")[0]
        proof = base64.b64encode(b"x" * 32).decode()
        answer = await tls_stranger.request(
            "auth", mechanism="SCRAM-SHA-256", data=f"c=eSws,{nonce},p={proof}"
        )
    assert answer["code"] == "auth_failed"


async def challenge_for(server: Served, user: str) -> tuple[str, str]:
    """Return salt and iterations that the server sends for a user."""
    async with await RawClient.connect(server.tcp) as client:
        scram = ScramClient(["SCRAM-SHA-256"], user, PASSWORD)
        challenge = await client.ask(
            "auth", mechanism="SCRAM-SHA-256", data=scram.get_client_first()
        )
        _, salt, iterations = challenge["data"].split(",")
        return salt, iterations


async def test_an_unknown_user_has_a_stable_salt_like_any_other(
    server: Served,
) -> None:
    async with logged_in(server.tcp, fresh_name()) as (known,):
        real = await challenge_for(server, known.user)
    nobody = fresh_name("nobody")
    made_up = await challenge_for(server, nobody)
    assert made_up == await challenge_for(server, nobody)
    assert made_up != await challenge_for(server, fresh_name("nobody"))
    assert made_up[1] == real[1]
    assert len(made_up[0]) == len(real[0])


async def test_an_unknown_user_and_a_wrong_password_are_told_the_same(
    server: Served,
) -> None:
    async with logged_in(server.tcp, fresh_name()) as (known,):
        answers = []
        for user in (known.user, fresh_name("nobody")):
            async with await RawClient.connect(server.tcp) as client:
                answers.append(
                    await client.request(
                        "auth", mechanism="PLAIN", user=user, password="wrong horse"
                    )
                )
        assert answers[0] == answers[1]
        assert answers[0]["code"] == "auth_failed"


async def test_a_wrong_password_by_scram_is_auth_failed(server: Served) -> None:
    async with logged_in(server.tcp, fresh_name()) as (known,):
        for user in (known.user, fresh_name("nobody")):
            async with await RawClient.connect(server.tcp) as client:
                scram = ScramClient(["SCRAM-SHA-256"], user, "wrong horse")
                challenge = await client.ask(
                    "auth", mechanism="SCRAM-SHA-256", data=scram.get_client_first()
                )
                scram.set_server_first(challenge["data"])
                code = await client.refusal(
                    "auth", mechanism="SCRAM-SHA-256", data=scram.get_client_final()
                )
                assert code == "auth_failed"


async def test_growing_delays_do_not_lock_the_owner_out(server: Served) -> None:
    async with logged_in(server.tcp, fresh_name()) as (known,):
        codes, delay = set(), 0
        for _ in range(8):
            async with await RawClient.connect(server.tcp) as client:
                answer = await client.request(
                    "auth", mechanism="PLAIN", user=known.user, password="wrong horse"
                )
                codes.add(answer["code"])
                delay = answer.get("retry_after", 0)
        assert codes <= {"auth_failed", "rate_limited"}
        assert delay <= 60_000
        async with await RawClient.connect(server.tcp) as client:
            answer = await client.request(
                "auth", mechanism="PLAIN", user=known.user, password=PASSWORD
            )
            if answer["type"] == "error":
                assert answer["code"] == "rate_limited"
                await asyncio.sleep(min(answer["retry_after"] / 1000, 8))
                await client.login(known.user)


async def test_a_remembered_login_goes_on_by_token(server: Served) -> None:
    async with logged_in(server.tcp, fresh_name(), remember=True, device="lap") as (
        first,
    ):
        token = first.history[-1].get("token") or next(
            m["token"] for m in first.history if m["type"] == "ready"
        )
    async with await RawClient.connect(server.tcp) as client:
        ready = await client.ask("auth", mechanism="TOKEN", token=token)
        assert ready["user"] == first.user
    async with await RawClient.connect(server.tcp) as client:
        code = await client.refusal("auth", mechanism="TOKEN", token=token[:-1] + "!")
        assert code == "auth_failed"


async def test_no_token_without_remember(stranger: RawClient) -> None:
    user = fresh_name()
    await stranger.register(user)
    assert "token" not in await stranger.login(user)


async def test_ready_says_who_one_is_and_what_the_limits_are(
    stranger: RawClient,
) -> None:
    user = fresh_name()
    await stranger.register(user)
    ready = await stranger.login(user)
    assert (ready["user"], ready["role"], ready["more"]) == (user, "member", False)
    limits = ready["limits"]
    assert (limits["frame"], limits["text"], limits["in_flight"]) == (
        131_072,
        16_384,
        256,
    )
    assert len(ready["log"]) >= 16
    assert ready["chats"] == []


async def test_the_log_id_is_the_same_for_all(alice: RawClient, bob: RawClient) -> None:
    ids = {m["log"] for c in (alice, bob) for m in c.history if m["type"] == "ready"}
    assert len(ids) == 1


async def test_what_does_not_fit_into_ready_goes_on_in_chats(
    server: Served, alice: RawClient
) -> None:
    rooms = {f"#{fresh_name('wide')}" for _ in range(450)}
    ids = [alice.send_with_id("create", room=room, topic="t" * 1_000) for room in rooms]
    for id_ in ids:
        await alice.reply(id_)
    async with await RawClient.connect(server.tcp) as client:
        ready = await client.login(alice.user)
        assert ready["more"]
        found = ready["chats"]
        page = ready
        while page["more"]:
            page = await client.expect("chats")
            found += page["chats"]
        await client.expect("synced")
        assert {record["chat"] for record in found} == rooms
        kinds = [m["type"] for m in client.history]
        assert "chats" not in kinds[kinds.index("synced") :]


# 4. The backlog --------------------------------------------------------------------


async def test_who_was_away_finds_every_message_on_return(
    server: Served, alice: RawClient
) -> None:
    async with logged_in(server.tcp, fresh_name()) as (bob,):
        user = bob.user
    for n in range(30):
        await alice.say(f"@{user}", str(n))
    async with await RawClient.connect(server.tcp) as bob:
        (record,) = (await bob.login(user))["chats"]
        await bob.expect("synced")
        assert texts(bob.history) == [str(n) for n in range(30)]
        assert (record["unread"], record["read"]) == (30, 0)


async def test_a_backlog_is_the_newest_200_of_each_chat(
    server: Served, alice: RawClient
) -> None:
    async with logged_in(server.tcp, fresh_name()) as (bob,):
        user = bob.user
    ids = [alice.send_with_id("send", chat=f"@{user}", text=str(n)) for n in range(250)]
    for id_ in ids:
        await alice.reply(id_)
    async with await RawClient.connect(server.tcp) as bob:
        await bob.login(user)
        await bob.expect("synced")
        assert texts(bob.history) == [str(n) for n in range(50, 250)]
        page = await bob.ask(
            "history",
            chat=f"@{alice.user}",
            before=next(m["seq"] for m in bob.history if m["type"] == "message"),
        )
        assert texts(page["messages"]) == [str(n) for n in range(50)]


async def test_with_ask_nothing_comes_until_sync(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    seqs = [(await alice.say(f"@{bob.user}", str(n)))["seq"] for n in range(5)]
    async with device(server.tcp, bob.user, sync="ask") as other:
        await alice.say(f"@{bob.user}", "5")
        assert texts(await other.drain()) == []
        id_ = other.send_with_id("sync", have={f"@{alice.user}": seqs[2]})
        await other.expect("synced", re=id_)
        assert texts(other.history) == ["3", "4", "5"]
        await alice.say(f"@{bob.user}", "6")
        await other.expect("message", text="6")


async def test_a_sync_in_several_requests_answers_the_last(
    server: Served, alice: RawClient, bob: RawClient, eve: RawClient
) -> None:
    for friend in (alice, eve):
        for n in range(3):
            await friend.say(f"@{bob.user}", f"{friend.user} {n}")
    last = (await alice.log(f"@{bob.user}"))[-1]["seq"]
    async with device(server.tcp, bob.user, sync="ask") as other:
        other.send("sync", id=900, have={f"@{alice.user}": last}, more=True)
        assert await other.drain() == []
        other.send("sync", id=901, have={}, more=False)
        await other.expect("synced", re=901)
        assert texts(other.history) == [f"{eve.user} {n}" for n in range(3)]


async def test_have_beyond_last_is_taken_as_last(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    await alice.say(f"@{bob.user}", "1")
    async with device(server.tcp, bob.user, sync="ask") as other:
        await other.ask("sync", have={f"@{alice.user}": 2**53 - 1})
        assert texts(other.history) == []
        await alice.say(f"@{bob.user}", "2")
        assert (await other.expect("message"))["text"] == "2"


async def test_have_of_chats_one_is_not_in_is_ignored(
    server: Served, alice: RawClient
) -> None:
    await alice.say(f"@{alice.user}", "x")
    async with device(server.tcp, alice.user, sync="ask") as other:
        have = {"#no-such-room": 5, "@nobody-here": 7, f"@{alice.user}": 0}
        await other.ask("sync", have=have)
        assert texts(other.history) == ["x"]


async def test_with_none_nothing_is_ever_pushed(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    await alice.say(f"@{bob.user}", "1")
    async with device(server.tcp, bob.user, sync="none") as other:
        await alice.say(f"@{bob.user}", "2")
        await other.say(f"@{alice.user}", "3")
        await bob.expect("message", text="3")
        assert await other.drain() == []
        assert texts(await other.log(f"@{alice.user}")) == ["1", "2", "3"]


async def test_unread_counts_talk_of_others_after_read(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    room = "#" + fresh_name("r")
    await alice.ask("create", room=room)
    await bob.ask("join", room=room)
    await alice.say(room, "1")
    await alice.say(room, "waves", kind="action")
    await alice.ask("topic", room=room, topic="no talk")
    await bob.say(room, "mine")
    async with await RawClient.connect(server.tcp) as other:
        (record,) = (await other.login(bob.user, sync="none"))["chats"]
        assert record["unread"] == 2


async def test_between_backlog_and_live_nothing_is_lost_or_doubled(
    server: Served, alice: RawClient, bob: RawClient
) -> None:
    chat = f"@{bob.user}"
    await alice.say(chat, "first")

    is_over = asyncio.Event()

    async def talk() -> None:
        for n in itertools.count():
            await alice.say(chat, str(n))
            if is_over.is_set():
                return

    async def come_and_look() -> None:
        async with await RawClient.connect(server.tcp) as other:
            await other.login(bob.user)
            await other.expect("synced")
            backlog = [m for m in other.history if m["type"] == "message"]
            live = 0
            while live < 20:
                message = await other.expect("message")
                live += message["seq"] > backlog[-1]["seq"]
            seen = [m for m in other.history if m["type"] == "message"]
            for one, following in pairwise(seen):
                assert following["prev"] == one["seq"]

    talking = asyncio.create_task(talk())
    await asyncio.gather(*(come_and_look() for _ in range(12)))
    is_over.set()
    await talking

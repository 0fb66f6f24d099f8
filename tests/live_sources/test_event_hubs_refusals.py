"""Who a namespace of Event Hubs lets in, and each refusal with its remedy."""

from __future__ import annotations

import itertools
import time
from datetime import timedelta

import pytest

from connectors.sources import event_hubs_client
from connectors.sources.event_hubs_login import Address, KeyLogin, TokenLogin
from connectors.sources.event_hubs_look import look_at_hubs
from pipeline.model.errors import AuthError, ConfigError, FatalError, RetriableError, StateError
from tests.kafka.broker import free_ports
from tests.live_sources.hub_reading import WRONG, everything, kept_secret, ms, refusal, threads
from tests.services import diagnostics as d
from tests.services.event_hubs import USER, connection_string

_names = itertools.count()


def test_a_token_opens_the_door_and_is_renewed(namespace, hub, reader):
    namespace.send(hub, [d.page([1])])
    namespace.sign_in.lifetime = 3
    before = len(namespace.sign_in.tokens)
    source = reader(hub, login=TokenLogin(namespace.identity()))
    poll = source.poll(None)
    assert d.numbers_of([poll]) == [1]
    ends = time.monotonic() + 20
    while len(namespace.sign_in.tokens) - before < 3:
        assert time.monotonic() < ends
        poll = source.poll(poll.cursor)
        time.sleep(0.2)
    namespace.send(hub, [d.page([2])])
    assert d.numbers_of(everything(source, poll.cursor)) == [2]


REFUSED = {
    "a wrong key": (
        lambda _: {"login": KeyLogin(lambda: connection_string(key=WRONG))},
        AuthError,
        "the key is wrong, or was renewed; copy the connection string",
    ),
    "a token of somebody else": (
        lambda n: (
            setattr(n.sign_in, "subject", ""),
            {"login": TokenLogin(n.identity())},
        )[1],
        AuthError,
        "it does not take our token; check that the namespace is in the cloud",
    ),
    "a sign-in that is refused": (
        lambda n: (
            setattr(n.sign_in, "code", 7000222),
            {"login": TokenLogin(n.identity())},
        )[1],
        AuthError,
        "AADSTS7000222: the client secret has expired",
    ),
    "a sign-in service that is down": (
        lambda n: (
            setattr(n.sign_in, "down", (503, {}, "")),
            {"login": TokenLogin(n.identity())},
        )[1],
        RetriableError,
        "HTTP 503",
    ),
    "an authority that nobody trusts": (
        lambda n: {"ca_file": n.certificates.stranger_file},
        AuthError,
        "an authority that is not trusted; behind a proxy that looks into TLS, name",
    ),
    "the machine's authorities": (
        lambda _: {"ca_file": None},
        AuthError,
        "an authority that is not trusted",
    ),
    "a file without authorities": (
        lambda n: {"ca_file": n.certificates.client_key_file},
        ConfigError,
        "holds no authorities",
    ),
    "an expired certificate": (
        lambda n: {"address": Address("localhost", n.ports["EXPIRED"])},
        AuthError,
        "its certificate has expired",
    ),
    "a certificate of another host": (
        lambda n: {"address": Address("localhost", n.ports["MISNAMED"])},
        AuthError,
        "its certificate is for another host name; check the name of the namespace",
    ),
    "a port where nothing listens": (
        lambda _: {"address": Address("localhost", free_ports(1)[0])},
        RetriableError,
        "nothing listens there",
    ),
    "a port where something else listens": (
        lambda n: {"address": Address("localhost", n.brokers[0])},
        RetriableError,
        "it closes the connection; if that goes on, a firewall may stand in between",
    ),
    "a connection string of another namespace": (
        lambda _: {"login": KeyLogin(lambda: connection_string("other.example.net"))},
        ConfigError,
        "is for the namespace other.example.net, and localhost is to be read",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_whoever_is_kept_out_is_told_why(namespace, hub, reader, case, monkeypatch):
    monkeypatch.setattr(event_hubs_client, "_BOOTSTRAP_MS", 3000)
    make, kind, words = REFUSED[case]
    before = threads()
    source = reader(hub, **make(namespace))
    began = time.monotonic()
    assert words in refusal(kind, source)
    assert time.monotonic() - began < 8
    assert threads() <= before, "a client that could not be made goes on"


def test_a_policy_without_listen_is_told_which_hub_it_may_not_read(namespace, hub, reader):
    closed = f"insights-logs-auditlogs-{next(_names)}"
    namespace.make(closed, users=())
    message = refusal(AuthError, reader(hub, closed))
    assert f"may not read {closed}; give the policy of the namespace the right Listen" in message
    assert "Basic" in message
    assert hub not in message


def test_an_application_without_the_role_is_told_its_name(namespace, reader):
    closed = f"insights-logs-auditlogs-{next(_names)}"
    namespace.make(closed, users=())
    message = refusal(AuthError, reader(closed, login=TokenLogin(namespace.identity())))
    assert "assign it the role 'Azure Event Hubs Data Receiver' at the namespace" in message


def test_a_right_that_is_taken_away_in_the_middle_is_noticed(namespace, hub, reader):
    source = reader(hub)
    cursor = source.poll(None).cursor
    namespace.send(hub, [d.page([1])])
    namespace.forbid(USER, hub)
    assert "the right Listen" in refusal(AuthError, source, cursor)
    namespace.allow(USER, hub)
    assert d.numbers_of(everything(source, cursor)) == [1]


def test_a_hub_that_is_not_there_is_named(namespace, hub, reader):
    absent = f"insights-logs-nothing-{next(_names)}"
    namespace.allow(USER, absent)
    message = refusal(FatalError, reader(hub, absent))
    assert f"has no hub {absent}; a diagnostic setting makes a hub with the first record" in message


def test_a_key_that_is_changed_on_disk_is_used_at_once(namespace, hub, reader):
    namespace.send(hub, [d.page([1])])
    held = [connection_string()]
    source = reader(hub, login=KeyLogin(lambda: held[0]))
    poll = source.poll(None)
    held[0] = connection_string(key=WRONG)
    assert source.poll(poll.cursor).received == 0, "the connection that is open stays open"
    source.close()
    assert "the key is wrong" in refusal(AuthError, source, poll.cursor)
    held[0] = connection_string()
    namespace.send(hub, [d.page([2])])
    assert d.numbers_of(everything(source, poll.cursor)) == [2]


def test_a_key_that_was_renewed_while_connected_is_read_again_before_anybody_is_told(
    namespace, hub, reader, monkeypatch
):
    source = reader(hub)
    poll = source.poll(None)
    namespace.send(hub, [d.page([1])])
    bounds, refused = event_hubs_client.HubClient.bounds, []

    def once(self, partitions):
        if not refused:
            refused.append(True)
            raise self.gate.denied([hub])
        return bounds(self, partitions)

    monkeypatch.setattr(event_hubs_client.HubClient, "bounds", once)
    assert d.numbers_of([source.poll(poll.cursor)]) == [1]


def test_an_endpoint_that_holds_messages_back_is_told_of_and_tried_again(
    namespace, hub, reader, monkeypatch
):
    namespace.send(hub, [d.page([1])])
    source = reader(hub, seconds=0.0)
    message = refusal(RetriableError, source)
    assert "gives nothing although there is more" in message
    assert d.numbers_of(everything(reader(hub))) == [1]


def test_another_cursor_is_refused(hub, reader):
    source = reader(hub)
    for cursor in ({"v": 2}, {"position": 3}, {"v": 1, "partitions": 3}, {"v": 1}):
        with pytest.raises(StateError, match=r"cursor of event_hubs: (want version 1|damaged)"):
            source.poll(cursor)


def test_no_hub_at_all_is_a_mistake(reader):
    with pytest.raises(ConfigError, match="no hub of Event Hubs is named"):
        reader()


# What 'outrider check' sees.


def test_each_hub_is_looked_at_by_itself(namespace, hub):
    closed, absent = (f"insights-logs-auditlogs-{next(_names)}" for _ in range(2))
    namespace.make(closed, users=())
    namespace.allow(USER, absent)
    newest = d.START + timedelta(minutes=3)
    namespace.send(hub, [(d.page([1]), ms(d.START)), (d.page([2]), ms(newest))])
    looks = look_at_hubs(
        namespace.address,
        KeyLogin(connection_string),
        [hub, closed, absent],
        namespace.certificates.ca_file,
    )
    assert (looks[0].problem, looks[0].partitions, looks[0].newest) == (None, 2, newest)
    assert isinstance(looks[1].problem, AuthError)
    assert isinstance(looks[2].problem, FatalError)
    wrong = look_at_hubs(
        namespace.address,
        KeyLogin(lambda: connection_string(key=WRONG)),
        [hub],
        namespace.certificates.ca_file,
    )
    assert "the key is wrong" in kept_secret(wrong[0].problem)

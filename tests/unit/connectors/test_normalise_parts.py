"""Times, ids, pseudonyms, outcomes, operations and masks, each for itself."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.normalise.columns import names
from connectors.normalise.directory import OPERATIONS, operation_of
from connectors.normalise.identifiers import fold_id, fold_ids
from connectors.normalise.outcomes import codes, outcome_of_code, outcome_of_word, read_code
from connectors.normalise.pseudonyms import Pseudonyms
from connectors.normalise.settings import NormaliseSettings
from connectors.normalise.tables import rows
from connectors.normalise.tally import REST, Tally, mask_client, product_tokens
from connectors.normalise.times import parse_time, parse_times
from connectors.sources.structure import first_ends, value_ends
from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Outcome

NOON = to_us(datetime(2026, 3, 9, 12, tzinfo=UTC))
TIMES = {
    "2026-03-09T12:00:00Z": 0,
    "2026-03-09T12:00:00.1875602Z": 187560,
    "2026-03-09T12:00:00.187560299Z": 187560,
    "2026-03-09T12:00:00.1875602991234+00:00": 187560,
    "2026-03-09T12:00:00.429773+00:00": 429773,
    "2026-03-09T12:00:00.42": 420000,
    "2026-03-09 12:00:00.983201900": 983201,
    "2026-03-09T07:00:00.0729893-05:00": 72989,
    "2026-03-09T14:00:00+02:00": 0,
    "2026-03-09T12:00": 0,
    "3/9/2026 12:00:00 PM": 0,
    "03/09/2026 12:00:00": 0,
    "3/9/2026, 12:00:00.123 PM": 123000,
    "3/9/2026 1:00:00 PM +01:00": 0,
    "3/9/2026 12:00:00\u202fPM": 0,
    "/Date(1773057600000)/": 0,
    "\\/Date(1773057600000)\\/": 0,
}
NO_TIMES = (
    "",
    "yesterday",
    "2026-02-30T12:00:00Z",
    "0001-01-01T00:00:00Z",
    "2999-01-01T00:00:00Z",
    "13/25/2026 12:00:00",
    "3/9/2026 13:00:00 PM",
    "2026-03-09T25:00:00Z",
    "1773057600",
)


@pytest.mark.parametrize("text", TIMES)
def test_every_time_format(text: str) -> None:
    assert parse_time(text) == NOON + TIMES[text]


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time(text: str) -> None:
    assert parse_time(text) is None


@given(st.lists(st.sampled_from([*TIMES, *NO_TIMES, None]), max_size=30))
def test_a_column_of_times_is_read_like_each_of_them(texts: list[str | None]) -> None:
    values, good = parse_times(texts)
    single = [None if t is None else parse_time(t) for t in texts]
    assert [int(x) if g else None for x, g in zip(values, good, strict=True)] == single


@given(
    st.lists(st.uuids().map(str) | st.text(max_size=40) | st.uuids().map(lambda u: str(u).upper()))
)
def test_a_column_of_ids_is_folded_like_each_of_them(texts: list[str]) -> None:
    folded = [bytes(row) for row in fold_ids(texts)]
    assert folded == [fold_id(t) for t in texts]
    for text, value in zip(texts, folded, strict=True):
        if len(text) == 36 and text.count("-") == 4:
            assert value == uuid.UUID(text).bytes
    assert len(set(folded)) == len({t.casefold() if len(t) == 36 else t for t in texts})


def test_the_same_user_gets_the_same_number_under_the_same_key_only() -> None:
    one, other = (Pseudonyms(NormaliseSettings(k)) for k in (b"one key", b"another key"))
    assert one.user("Adele@contoso.example") == one.user("adele@CONTOSO.example ")
    assert one.user("adele@contoso.example") != other.user("adele@contoso.example")
    assert one.user("adele@contoso.example") != one.user("alex@contoso.example")
    assert 0 < one.user("") < 2**64
    assert not one.revealed


def test_under_a_missing_name_stands_an_index_that_may_be_looked_up() -> None:
    column = names(["fr", None, "de"], np.array([2, 1, 0, 1]))
    assert column.to_pylist() == ["de", None, "fr", None]
    indices = np.frombuffer(column.indices.buffers()[1], np.int32)[:4]
    assert indices.min() >= 0
    assert indices.max() < len(column.dictionary)


def test_networks_are_hashed_by_prefix_and_named_by_site() -> None:
    sites = {"192.0.2.0/25": "Berlin", "2001:db8:1::/48": "Rome", "192.0.0.0/8": "Net"}
    known = Pseudonyms(NormaliseSettings(b"key", site_names=sites))
    assert known.network("192.0.2.77") == known.network("192.0.2.77:4711") == "Berlin"
    assert known.network("192.0.2.200") == "Net"
    assert known.network("[2001:db8:1:2::3]:443") == known.network("2001:db8:1::9") == "Rome"
    net = known.network("203.0.113.77")
    assert net is not None
    assert net.startswith("net-")
    assert len(net) == 12
    assert known.network("203.0.113.XXX") == known.network("::ffff:203.0.113.1") == net
    assert known.network("203.0.114.77") != net
    assert Pseudonyms(NormaliseSettings(b"other")).network("203.0.113.77") != net
    servers = ("::1", "fe80::1%4", "127.0.0.1", "2603:10a6:800:125::13", "", None, "nowhere")
    assert {known.network(a) for a in servers} == {None}


@pytest.mark.parametrize("value", [50126, "50126", " 50126 ", "50126.0"])
def test_codes_of_any_type(value: object) -> None:
    assert read_code(value) == 50126


@pytest.mark.parametrize("value", [None, "", "Failure", True, "9" * 30, "1e5", [], {}])
def test_what_is_no_code(value: object) -> None:
    assert read_code(value) is None


def test_outcomes_of_codes_and_words() -> None:
    assert outcome_of_code(0) is Outcome.SUCCESS
    assert outcome_of_code(90033) is Outcome.SERVICE_FAULT
    assert outcome_of_code(90055) is Outcome.THROTTLED
    assert outcome_of_code(50053) is Outcome.ATTACK_SIGNAL
    assert {outcome_of_code(c) for c in (50074, 50076, 50140)} == {Outcome.INTERRUPT}
    assert {outcome_of_code(c) for c in (None, 1, -5, 99999999)} == {Outcome.UNKNOWN_FAILURE}
    assert [c for c, o in codes().items() if o is Outcome.SUCCESS] == [0]
    good = ("Succeeded", "PartiallySucceeded", "True", "success")
    assert {outcome_of_word(w) for w in good} == {Outcome.SUCCESS}
    bad = ("Failed", "False", "", None, "anything")
    assert {outcome_of_word(w) for w in bad} == {Outcome.UNKNOWN_FAILURE}


@pytest.mark.parametrize(
    "table",
    [
        "entra_codes",
        "signin_clients",
        "services",
        "exchange_clients",
        "audit_record_types",
        "mailbox_operations",
        "directory_operations",
    ],
)
def test_every_row_of_every_table_names_its_source(table: str) -> None:
    assert rows(table)
    assert all(row["source"].strip() for row in rows(table))


@pytest.mark.parametrize(
    ("activity", "operation"),
    [
        ("Add conditional access policy", "conditional_access"),
        ("Update named location", "named_location"),
        ("Add named location", "named_location"),
        ("Set federation settings on domain", "federation"),
        ("Set domain authentication", "federation"),
        ("Update application \u2013 Certificates and secrets management ", "app_credentials"),
        ("Add service principal credentials", "app_credentials"),
        ("Consent to application", "app_credentials"),
        ("Update certificate-based authentication trusted CA", "certificate"),
        ("Authentication Methods Policy Update", "authentication_method"),
        ("User registered security info", "authentication_method"),
        ("Change user license", "licence"),
        ("Add member to group", "other"),
        ("Update user", "other"),
        (None, "other"),
    ],
)
def test_directory_activities(activity: str | None, operation: str) -> None:
    assert operation_of(activity, "Core Directory") == operation
    assert {r["operation"] for r in rows("directory_operations")} | {"other"} == set(OPERATIONS)


@pytest.mark.parametrize(
    "secret",
    [
        "Client=ActiveSync;Action=/x.eas?User=adele.vance%40contoso.example&DeviceId=77AB",
        "Client=Foo;User=adele.vance;x",
        "Client=Foo (adele.vance@contoso.example)",
        "Client=Foo;Mailbox=adele.vance@contoso.example;203.0.113.77",
        "DeviceName=adele.vance-phone",
    ],
)
def test_masked_client_texts_name_nobody(secret: str) -> None:
    masked = mask_client(secret)
    for word in ("adele", "vance", "contoso", "77AB", "203.0.113"):
        assert word not in masked
    assert product_tokens("Adele's phone (adele@contoso.example) Foo/1.2") == "Foo/1.2"


def test_tallies_add_up_and_stay_small() -> None:
    total = Tally()
    for part in range(4):
        tally = Tally()
        for n in range(400):
            tally.unmatched_clients["exchange_audit", f"client {part} {n}"] += 1 + n % 3
        tally.records["exchange_audit"] = 1000
        total.merge(tally)
    assert total.records["exchange_audit"] == 4000
    assert len(total.unmatched_clients) <= 1001
    assert sum(total.unmatched_clients.values()) == 4 * sum(1 + n % 3 for n in range(400))
    assert total.unmatched_clients["exchange_audit", REST] > 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\{}[],:\u00e9', max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
BRACKETED = st.lists(JSON, max_size=3) | st.dictionaries(st.text(max_size=4), JSON, max_size=3)


@given(values=st.lists(BRACKETED, max_size=6), ascii_only=st.booleans(), step=st.integers(1, 60))
def test_ends_of_values_are_found_whatever_stands_in_them(
    *, values: list[object], ascii_only: bool, step: int
) -> None:
    texts = [json.dumps(x, ensure_ascii=ascii_only).encode() for x in values]
    data = bytearray(b" , ".join(texts) + b" ] more }")
    wanted, position = [], 0
    for text in texts:
        position += len(text)
        wanted.append(position)
        position += 3
    closed = data.index(b"] more", wanted[-1] if wanted else 0)
    for found in (value_ends(data, 0, len(data)), first_ends(data, 0, len(data), step)):
        assert found.ends == wanted
        assert found.closed == closed

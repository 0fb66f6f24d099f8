from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.vocabulary import (
    CLIENT_FAMILIES,
    FINER_CLIENTS,
    OUTCOME_FAMILIES,
    Client,
    Outcome,
    OutcomeFamily,
    Service,
    Verdict,
    finest,
    same_client,
)

CLIENTS = st.sampled_from(Client)
SETS = st.frozensets(CLIENTS)


@given(SETS)
def test_finest_drops_only_coarse_clients_whose_finer_form_is_there(clients: frozenset) -> None:
    kept = finest(clients)
    assert kept <= clients
    assert finest(kept) == kept
    for dropped in clients - kept:
        assert FINER_CLIENTS[dropped] & kept
    for coarse in kept & FINER_CLIENTS.keys():
        assert not FINER_CLIENTS[coarse] & clients


def test_finest_by_example() -> None:
    mac, new, ios = Client.OUTLOOK_MAC, Client.OUTLOOK_MAC_NEW, Client.OUTLOOK_IOS
    assert finest(frozenset({mac, new, ios})) == {new, ios}
    assert finest(frozenset({mac, ios})) == {mac, ios}
    assert finest(frozenset()) == frozenset()


@given(CLIENTS, CLIENTS)
def test_same_client_is_symmetric_and_reflexive(left: Client, right: Client) -> None:
    assert same_client(left, left)
    assert same_client(left, right) == same_client(right, left)


def test_two_fine_forms_of_one_coarse_client_are_not_the_same() -> None:
    assert same_client(Client.OUTLOOK_MAC, Client.OUTLOOK_MAC_NEW)
    assert same_client(Client.OUTLOOK_MAC_LEGACY, Client.OUTLOOK_MAC)
    assert not same_client(Client.OUTLOOK_MAC_LEGACY, Client.OUTLOOK_MAC_NEW)
    assert not same_client(Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID)


def test_every_member_has_a_label_of_its_own() -> None:
    for closed_set in (Client, Service, Verdict):
        labels = [member.label for member in closed_set]
        assert all(labels)
        assert len(set(labels)) == len(labels)


def test_every_failure_has_a_family_and_no_step_of_a_good_sign_in_has_one() -> None:
    good = {Outcome.SUCCESS, Outcome.INTERRUPT, Outcome.EXPIRED_SESSION}
    assert set(OUTCOME_FAMILIES) == set(Outcome) - good
    assert set(OUTCOME_FAMILIES.values()) == set(OutcomeFamily)


def test_an_unknown_failure_is_held_against_the_service() -> None:
    assert OUTCOME_FAMILIES[Outcome.UNKNOWN_FAILURE] is OutcomeFamily.SERVICE


def test_finer_clients_stay_within_the_family_of_the_coarse_one() -> None:
    for coarse, finer in FINER_CLIENTS.items():
        (family,) = (f for f in CLIENT_FAMILIES.values() if coarse in f)
        assert finer < family

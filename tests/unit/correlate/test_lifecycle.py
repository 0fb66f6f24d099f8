"""One outage, one incident: opening, spreading, flickering, ending, coming back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from pipeline.correlate.clients import onset
from pipeline.model.incident import IncidentState, RevisionReason
from pipeline.model.vocabulary import Client, FlagKind, OutcomeFamily, Service, Verdict

IOS, ANDROID, OWA = Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OWA
MOBILE = {IOS, ANDROID}
SPIKE, DROP, RETRY = FlagKind.FAILURE_SPIKE, FlagKind.VOLUME_DROP, FlagKind.RETRY_SURGE
SERVICE = OutcomeFamily.SERVICE
R = RevisionReason


def reasons(run: Any) -> list[RevisionReason]:
    return [i.reason for i in run.incidents]


def test_revision_numbers_and_publication_times_only_grow(town: Any) -> None:
    run = town.run()
    run.hours(9)
    first = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
    late = town.flag(DROP, IOS, town.at(9), source=town.audit, alarm=town.at(9, 40))
    again = town.flag(SPIKE, OWA, town.at(10, 5), family=SERVICE)
    fail = town.fail({IOS, OWA}, "service", 90033)
    run.hours(1, [first, late], fail)
    run.hours(1, [again], fail)
    run.hours(16, [town.closing(f, town.at(11)) for f in (first, late, again)])
    run.hours(8)
    assert len(run.latest()) == 1
    assert [i.revision for i in run.incidents] == list(range(1, len(run.incidents) + 1))
    times = [i.published_at for i in run.incidents]
    assert times == sorted(times)
    assert run.incidents[0].published_at == first.raised_at == run.last.raised_at
    assert reasons(run)[-2:] == [R.RECOVERING, R.RESOLVED]


def test_first_revision_knows_only_what_was_raised_by_then(town: Any) -> None:
    run = town.run()
    run.hours(9)
    early = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE, alarm=town.at(9, 10))
    later = town.flag(SPIKE, ANDROID, town.at(9, 20), family=SERVICE, alarm=town.at(9, 40))
    opened, spread, *_ = run.hours(1, [later, early], town.fail(MOBILE, "service", 90033))
    assert (opened.reason, opened.clients) == (R.OPENED, (IOS,))
    assert opened.flag_ids == (early.flag_id,)
    assert (spread.reason, spread.clients) == (R.SPREAD, (IOS, ANDROID))
    assert spread.published_at == later.raised_at


def test_no_revision_without_a_reason(town: Any) -> None:
    run = town.run()
    run.hours(9)
    flags = [town.flag(SPIKE, c, town.at(9, 5), family=SERVICE) for c in MOBILE]
    fail = town.fail(MOBILE, "service", 90033)
    run.hours(1, flags, fail)
    quiet_from = len(run.incidents)
    run.hours(2, (), fail)
    again = [town.flag(SPIKE, c, town.at(12, 5), family=SERVICE) for c in MOBILE]
    run.hours(2, again, fail)
    assert {i.reason for i in run.incidents[quiet_from:]} <= {R.SEVERITY_UP}


def test_intermittent_outage_over_days_is_one_incident(town: Any) -> None:
    """Three days, five bursts a day, quiet nights; a burst closes its flags each time."""
    run = town.run()
    for day in range(2):
        for hour in range(24):
            burst = hour in {9, 11, 13, 15, 17}
            flags = []
            if burst:
                at = town.at(hour, 5, day)
                flags = [town.flag(SPIKE, c, at, family=SERVICE) for c in sorted(MOBILE)]
                flags += [town.closing(f, town.at(hour, 50, day)) for f in flags]
            run.hours(1, flags, town.fail(MOBILE, "service", 90033) if burst else None)
    assert len(run.latest()) == 1
    assert R.RESOLVED not in reasons(run)
    assert run.last.onset_at == town.at(9, 5)
    assert len(run.last.flag_ids) == 20
    # Friday 18:00 to Monday: nobody at work, so no word that it is over.
    run.hours(2 * 24)
    assert run.last.state is IncidentState.RECOVERING
    run.hours(24)
    assert run.last.reason is R.RESOLVED
    assert run.last.resolved_at == town.at(17, 50, 1)
    assert run.last.published_at > town.at(8, 0, 4)


def test_a_pause_below_the_hold_is_not_even_recovering(town: Any) -> None:
    run = town.run()
    run.hours(9)
    one = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
    two = town.flag(SPIKE, IOS, town.at(10, 10), family=SERVICE)
    fail = town.fail({IOS}, "service", 90033)
    run.hours(2, [one, town.closing(one, town.at(9, 30)), two], fail)
    assert R.RECOVERING not in reasons(run)
    assert run.last.state is IncidentState.OPEN


@pytest.mark.parametrize(
    ("missing", "alarm", "state"),
    [
        (4.0, 9, IncidentState.RECOVERING),
        (40.0, 9, IncidentState.OPEN),
        (4.0, 12, IncidentState.OPEN),
    ],
)
def test_a_client_of_few_users_may_take_its_time_to_show_that_it_is_well(
    town: Any, missing: float, alarm: int, state: IncidentState
) -> None:
    run = town.run()
    run.hours(9)
    at = {"source": town.audit, "expected": {"users": 100.0}}
    large = town.flag(DROP, IOS, town.at(9), observed={"users": 20.0}, **at)
    small = town.flag(
        DROP,
        Client.OWA,
        town.at(9),
        alarm=town.at(alarm, 40),
        observed={"users": 100.0 - missing},
        **at,
    )
    run.hours(3, [large, small], town.drop({IOS}))
    run.hours(20, [town.closing(large, town.at(12))])
    assert run.last.state is state
    assert R.RESOLVED not in reasons(run)


def test_a_drop_that_stays_open_over_night_stays_one(town: Any) -> None:
    run = town.run()
    run.hours(9)
    drop = town.flag(DROP, IOS, town.at(9), source=town.audit)
    run.hours(30, [drop], town.drop({IOS}))
    run.hours(4, [town.closing(drop, town.at(15, 0, 1))])
    assert len(run.latest()) == 1
    assert reasons(run).count(R.OPENED) == 1


class TestReopening:
    def resolved(self, town: Any, **knobs: Any) -> Any:
        run = town.run(**knobs)
        run.hours(9)
        flag = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
        run.hours(1, [flag, town.closing(flag, town.at(9, 50))], town.fail({IOS}, "service", 90033))
        run.hours(14)
        run.hours(9)
        assert run.last.state is IncidentState.RESOLVED
        return run

    def test_same_client_soon_after(self, town: Any) -> None:
        run = self.resolved(town)
        first = run.last
        again = town.flag(SPIKE, IOS, run.at + timedelta(minutes=5), family=SERVICE)
        run.hours(1, [again], town.fail({IOS}, "service", 90033))
        assert run.incidents[len(run.incidents) - 1].incident_id == first.incident_id
        reopened = next(i for i in run.incidents if i.reason is R.REOPENED)
        assert reopened.state is IncidentState.OPEN
        assert reopened.resolved_at is None
        assert reopened.onset_at == first.onset_at

    def test_another_client_is_another_incident(self, town: Any) -> None:
        run = self.resolved(town)
        other = town.flag(SPIKE, OWA, run.at + timedelta(minutes=5), family=SERVICE)
        run.hours(1, [other], town.fail({OWA}, "service", 90033))
        assert len(run.latest()) == 2

    def test_after_the_window_it_is_another_incident(self, town: Any) -> None:
        run = self.resolved(town)
        run.hours(73)
        again = town.flag(SPIKE, IOS, run.at + timedelta(minutes=5), family=SERVICE)
        run.hours(1, [again], town.fail({IOS}, "service", 90033))
        assert len(run.latest()) == 2

    def test_a_resolution_needs_people_at_work(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flag = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
        run.hours(8, [flag, town.closing(flag, town.at(16, 50))])
        run.hours(15)  # to 08:00 of Friday: fifteen hours of quiet, all of them at night
        assert run.last.state is IncidentState.RECOVERING
        run.hours(3)
        assert run.last.state is IncidentState.RESOLVED

    def test_a_flag_never_closed_expires(self, town: Any) -> None:
        run = town.run(flag_expiry=timedelta(hours=20))
        run.hours(9)
        run.hours(1, [town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)])
        run.hours(24 * 3)
        assert run.last.state is IncidentState.RESOLVED


class TestGrouping:
    def test_other_clients_within_two_hours_join(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(DROP, IOS, town.at(9), source=town.audit),
            town.flag(DROP, Client.OUTLOOK_MAC_NEW, town.at(10, 30), source=town.audit),
        ]
        run.hours(3, flags, town.drop({IOS, Client.OUTLOOK_MAC_NEW}))
        assert len(run.latest()) == 1
        assert run.last.clients == (IOS, Client.OUTLOOK_MAC_NEW)

    def test_an_unrelated_client_and_service_hours_later_does_not(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(DROP, IOS, town.at(9), source=town.audit),
            town.flag(SPIKE, Client.COPILOT, town.at(14), family=SERVICE, service=Service.COPILOT),
        ]
        run.hours(7, flags, town.drop({IOS}))
        assert len(run.latest()) == 2

    def test_two_services_at_once_are_one(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(
                SPIKE, Client.COPILOT, town.at(9, 4), family=SERVICE, service=Service.COPILOT
            ),
            town.flag(
                SPIKE, Client.OFFICE_WEB, town.at(9, 9), family=SERVICE, service=Service.OFFICE_WEB
            ),
        ]
        run.hours(1, flags)
        assert len(run.latest()) == 1
        assert run.last.services == (Service.COPILOT, Service.OFFICE_WEB)

    @pytest.mark.parametrize("drop_first", [True, False])
    def test_a_policy_spike_and_its_drop_are_one(self, town: Any, drop_first: Any) -> None:
        run = town.run()
        run.hours(9)
        minutes = (0, 20) if drop_first else (20, 0)
        flags = [
            town.flag(DROP, IOS, town.at(9, minutes[0]), source=town.audit),
            town.flag(SPIKE, IOS, town.at(9, minutes[1]), family=OutcomeFamily.TENANT),
        ]
        fail, drop = town.fail({IOS}, "tenant", 53003), town.drop({IOS})
        run.hours(2, flags, lambda rows: drop(fail(rows)))
        assert len(run.latest()) == 1
        assert run.last.verdict is Verdict.TENANT_CHANGE

    def test_a_shift_names_the_client_that_people_left(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        observed = {"users": 30.0, "rate": 0.4, "owa": 20.0}
        expected = {"users": 10.0, "rate": 0.1, "owa": 2.0}
        shift = town.flag(
            FlagKind.CLIENT_SHIFT,
            IOS,
            town.at(9),
            source=town.audit,
            observed=observed,
            expected=expected,
        )
        run.hours(2, [shift], town.drop({IOS}))
        assert run.last.clients == (IOS,)
        said = [e.text for e in run.last.evidence if "without their usual client" in e.text]
        assert len(said) == 1
        assert "30 user-hours, 10 usual" in said[0]
        assert OWA.label in said[0]

    def test_a_drop_dates_an_incident_better_than_a_shift(self, town: Any) -> None:
        shift = town.flag(FlagKind.CLIENT_SHIFT, IOS, town.at(9), source=town.audit)
        drop = town.flag(DROP, IOS, town.at(9, 40), source=town.audit)
        late = town.flag(DROP, IOS, town.at(15), source=town.audit)
        window = timedelta(hours=2)
        assert onset((shift, drop), window) == town.at(9, 40)
        assert onset((shift, late), window) == town.at(9)

    def test_tenants_never_mix(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [town.flag(DROP, IOS, town.at(9), tenant=t) for t in ("a", "b")]
        run.hours(1, flags)
        assert sorted(i.tenants for i in run.latest().values()) == [("a",), ("b",)]


def test_a_drop_that_took_a_night_to_show_joins_what_began_before_its_alarm(town: Any) -> None:
    run = town.run()
    run.hours(9)
    mac = Client.OUTLOOK_MAC_NEW
    prompt = [
        town.flag(DROP, c, town.at(8), source=town.audit, alarm=town.at(9, 5)) for c in MOBILE
    ]
    slow = town.flag(DROP, mac, town.at(0, 20), source=town.audit, alarm=town.at(12, 50))
    run.hours(5, [*prompt, slow], town.drop({*MOBILE, mac}))
    assert len(run.latest()) == 1
    assert mac in run.last.clients
    assert run.last.onset_at == town.at(8)


def test_a_second_incident_during_a_long_one_is_no_return(town: Any) -> None:
    """People go back only when the long one ends; while it lasts another fall is another fall."""
    run = town.run()
    run.hours(9)
    mobile = [town.flag(DROP, c, town.at(9), source=town.audit) for c in MOBILE]
    run.hours(31, mobile, town.drop(MOBILE))
    owa = town.flag(DROP, OWA, town.at(16, 0, 1), source=town.audit)
    out = run.hours(2, [owa], town.drop({*MOBILE, OWA}, 0.8))
    assert not any("go back" in i.headline for i in out)

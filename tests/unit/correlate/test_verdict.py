"""Every verdict where it holds, and its twin where it must not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from pipeline.model.change import ChangeKind, TenantChange
from pipeline.model.incident import Severity
from pipeline.model.vocabulary import Client, FlagKind, OutcomeFamily, Verdict
from pipeline.model.window import Gap

MOBILE = {Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID}
SPIKE, DROP, RETRY = FlagKind.FAILURE_SPIKE, FlagKind.VOLUME_DROP, FlagKind.RETRY_SURGE
SERVICE, TENANT_SIDE, CREDENTIAL = (
    OutcomeFamily.SERVICE,
    OutcomeFamily.TENANT,
    OutcomeFamily.CREDENTIAL,
)


def spikes(town: Any, family: Any, onset: Any, clients: Any = MOBILE, **more: Any) -> list[Any]:
    return [town.flag(SPIKE, c, onset, family=family, **more) for c in sorted(clients)]


def drops(town: Any, onset: Any, clients: Any = MOBILE, **more: Any) -> list[Any]:
    return [town.flag(DROP, c, onset, source=town.audit, **more) for c in sorted(clients)]


def explain(incident: Any) -> str:
    return "\n".join(f"{e.weight:+.1f} {e.verdict}: {e.text}" for e in incident.evidence)


class TestServiceOutage:
    def test_failures_with_service_codes_everywhere(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(2, spikes(town, SERVICE, town.at(9, 5)), town.fail(MOBILE, "service", 90033))
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        assert run.last.confidence > 0.8
        assert run.last.clients == (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID)
        assert [c.code for c in run.last.error_codes] == [90033]
        assert run.last.error_codes[0].outcome == "service_fault"

    def test_drop_alone_while_the_missing_are_at_work_elsewhere(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(3, drops(town, town.at(9)), town.drop(MOBILE))
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        healthy = {h.client for h in run.last.healthy_clients}
        assert Client.OWA in healthy
        assert not healthy & MOBILE

    def test_that_the_missed_are_at_work_elsewhere_counts_more_than_how_many_flags(
        self, town: Any
    ) -> None:
        run = town.run()
        run.hours(9)
        moved = {"observed": {"users": 90.0}, "expected": {"users": 20.0}}
        shifts = [
            town.flag(FlagKind.CLIENT_SHIFT, c, town.at(9), source=town.audit, **moved)
            for c in sorted(MOBILE)
        ]
        run.hours(3, [*drops(town, town.at(9)), *shifts], town.drop(MOBILE))
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        weights = {e.text: e.weight for e in run.last.evidence}
        found = next(w for t, w in weights.items() if "are at work in another client" in t)
        assert found > next(w for t, w in weights.items() if t.startswith("flags:"))
        # The same people seen twice: the second sight adds at most half.
        assert next(w for t, w in weights.items() if "without their usual client" in t) <= 0.5

    def test_never_when_policy_failures_dominate(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = spikes(town, TENANT_SIDE, town.at(9, 5)) + drops(town, town.at(9, 5))
        fail, drop = town.fail(MOBILE, "tenant", 53003), town.drop(MOBILE)
        run.hours(3, flags, lambda rows: drop(fail(rows)))
        assert {i.verdict for i in run.incidents} == {Verdict.TENANT_CHANGE}, explain(run.last)
        assert len(run.latest()) == 1

    def test_never_for_one_device(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        one = town.user_id(7)
        flags = [
            town.flag(
                RETRY,
                Client.OUTLOOK_IOS,
                town.at(9, 5),
                observed={"users": 1.0},
                expected={"users": 0.0},
            )
        ]

        def storm(rows: Any) -> list[Any]:
            return [
                replace(r, attempts=900) if r.user == one and r.source is town.signin else r
                for r in rows
            ]

        run.hours(2, flags, storm)
        assert run.last.verdict is Verdict.UNDETERMINED, explain(run.last)
        assert run.last.severity is Severity.LOW
        assert run.last.affected_users == 1

    def test_an_outage_among_other_tenants_counts(self, town: Any) -> None:
        run = town.run()
        both = (town.tenant, "fabrikam")
        run.hours(9, tenants=both)
        flags = drops(town, town.at(9)) + drops(town, town.at(9), tenant="fabrikam")
        run.hours(2, flags, town.drop(MOBILE), tenants=both)
        texts = [e.text for i in run.latest().values() for e in i.evidence]
        assert any("1 other tenants" in t for t in texts)
        assert {i.tenants for i in run.latest().values()} == {(town.tenant,), ("fabrikam",)}


class TestTenantChange:
    def test_a_fitting_change_before_the_onset_is_named(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        change = TenantChange(town.tenant, town.at(8, 50), ChangeKind.CONDITIONAL_ACCESS)
        run.hours(
            2,
            spikes(town, TENANT_SIDE, town.at(9, 5)),
            town.fail(MOBILE, "tenant", 53003),
            changes=[change],
        )
        assert run.last.verdict is Verdict.TENANT_CHANGE
        assert "conditional access at Thu 19 Mar 08:50 UTC" in run.last.headline
        told = next(e.text for e in run.last.evidence if "its kind explains" in e.text)
        assert "at Thu 19 Mar 08:50 UTC, 15 min before the onset" in told

    def test_a_change_seen_after_the_estimated_onset_is_said_to_be_after_it(
        self, town: Any
    ) -> None:
        run = town.run()
        run.hours(9)
        change = TenantChange(town.tenant, town.at(9, 9), ChangeKind.CONDITIONAL_ACCESS)
        flags = spikes(town, TENANT_SIDE, town.at(9, 5))
        run.hours(2, flags, town.fail(MOBILE, "tenant", 53003), changes=[change])
        assert any("4 min after the onset" in e.text for e in run.last.evidence)

    def test_expired_certificate_leaves_no_change_and_is_still_ours(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(2, spikes(town, TENANT_SIDE, town.at(9)), town.fail(MOBILE, "tenant", 50107))
        assert run.last.verdict is Verdict.TENANT_CHANGE

    @pytest.mark.parametrize(
        ("kind", "hours_before"),
        [(ChangeKind.CONDITIONAL_ACCESS, 5), (ChangeKind.APP_CREDENTIALS, 1)],
    )
    def test_a_change_too_early_or_of_another_kind_explains_nothing(
        self, town: Any, kind: Any, hours_before: Any
    ) -> None:
        run = town.run()
        change = TenantChange(town.tenant, town.at(9 - hours_before), kind)
        run.hours(9, changes=[change])
        run.hours(2, spikes(town, TENANT_SIDE, town.at(9, 5)), town.fail(MOBILE, "tenant", 53003))
        assert not any("its kind explains" in e.text for e in run.last.evidence)

    def test_a_change_does_not_take_an_outage_over(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        change = TenantChange(town.tenant, town.at(8, 50), ChangeKind.CONDITIONAL_ACCESS)
        run.hours(
            2,
            spikes(town, SERVICE, town.at(9, 5)),
            town.fail(MOBILE, "service", 90033),
            changes=[change],
        )
        assert run.last.verdict is Verdict.SERVICE_OUTAGE
        assert any(e.verdict is Verdict.TENANT_CHANGE for e in run.last.evidence)


def spray(town: Any, networks: Any, hour_rows: Any) -> list[Any]:
    """Every account is tried from ``networks``, where its owner has never been."""
    rows = list(hour_rows)
    hours = sorted({r.hour for r in rows})
    return rows + [
        town.Row(
            hour,
            town.signin,
            town.exo,
            Client.IMAP4,
            town.user_id(user),
            "RU",
            networks[user // 2 % len(networks)],
        ).failing("credential", 50126, 1)
        for hour in hours
        for user in range(0, town.users, 2)
    ]


class TestAttack:
    def test_spray_from_strange_networks(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(
            2,
            spikes(town, CREDENTIAL, town.at(9, 5), {Client.IMAP4}),
            lambda rows: spray(town, ["AS666", "AS667"], rows),
        )
        assert run.last.verdict is Verdict.ATTACK, explain(run.last)
        assert run.last.affected_users == 60
        assert "attack on accounts from 2 networks" in run.last.headline

    def test_own_users_mistyping_at_their_own_desks_are_no_attack(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(
            2,
            spikes(town, CREDENTIAL, town.at(9, 5), {Client.OUTLOOK_IOS}),
            town.fail({Client.OUTLOOK_IOS}, "credential", 50126),
        )
        assert run.last.verdict not in {Verdict.ATTACK, Verdict.SERVICE_OUTAGE}, explain(run.last)

    def test_spray_and_outage_at_once_stay_two(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            *spikes(town, CREDENTIAL, town.at(9, 5), {Client.IMAP4}),
            *spikes(town, SERVICE, town.at(9, 20)),
            *drops(town, town.at(9, 20)),
        ]
        fail = town.fail(MOBILE, "service", 90033)
        run.hours(2, flags, lambda rows: spray(town, ["AS666", "AS667"], fail(rows)))
        verdicts = {i.verdict: i for i in run.latest().values()}
        assert set(verdicts) == {Verdict.ATTACK, Verdict.SERVICE_OUTAGE}
        assert verdicts[Verdict.SERVICE_OUTAGE].clients == (
            Client.OUTLOOK_IOS,
            Client.OUTLOOK_ANDROID,
        )
        assert verdicts[Verdict.ATTACK].clients == (Client.IMAP4,)

    def test_an_outage_on_the_same_cell_prints_the_attack_signal_too(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = spikes(town, SERVICE, town.at(9, 5), {Client.OUTLOOK_IOS})
        fail = town.fail({Client.OUTLOOK_IOS}, "service", 90033, 0.95)

        def both(rows: Any) -> list[Any]:
            mixed = fail(rows)
            return mixed + [
                town.Row(
                    town.at(9), town.signin, town.exo, Client.OUTLOOK_IOS, town.user_id(u), "RU",
                    "AS666",
                ).failing("credential", 50126, 1)
                for u in range(0, 24, 2)
            ]  # fmt: skip

        run.hours(1, flags, both)
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        assert any(e.verdict is Verdict.ATTACK and e.weight > 0 for e in run.last.evidence)


class TestLocalNetwork:
    def test_one_site_offline(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(DROP, c, town.at(9, 5), observed={"users": 35.0})
            for c in (*sorted(MOBILE), Client.OUTLOOK_WINDOWS_CLASSIC)
        ]
        gone = {town.user_id(u) for u in range(town.users) if town.network_of(u) == "site-north"}

        def offline(rows: Any) -> list[Any]:
            return [r for r in rows if r.user not in gone or r.client is Client.SYSTEM]

        run.hours(3, flags, offline)
        assert run.last.verdict is Verdict.LOCAL_NETWORK, explain(run.last)
        assert "only network site-north" in run.last.headline
        assert [(s.dimension, s.value) for s in run.last.scope] == [("network", "site-north")]

    def test_failures_at_one_site(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        fail = town.fail(MOBILE, "service", 90033, 1.0, lambda r: r.network == "site-north")
        run.hours(2, spikes(town, SERVICE, town.at(9, 5)), fail)
        assert run.last.verdict is Verdict.LOCAL_NETWORK, explain(run.last)

    def test_failures_everywhere_are_not_local_and_have_no_place(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        run.hours(2, spikes(town, SERVICE, town.at(9, 5)), town.fail(MOBILE, "service", 90033))
        assert run.last.verdict is Verdict.SERVICE_OUTAGE
        assert {s.dimension for s in run.last.scope} <= {"code"}

    def test_a_country_is_found_as_scope(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        fail = town.fail(MOBILE, "service", 90033, 1.0, lambda r: r.country == "US")
        run.hours(2, spikes(town, SERVICE, town.at(9, 5)), fail)
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        first = run.last.scope[0]
        assert (first.dimension, first.value) == ("country", "US")
        assert first.share_inside > 0.99
        assert first.share_normal == pytest.approx(1 / 3, abs=0.03)
        assert first.affected_users == run.last.affected_users


class TestTelemetryGap:
    def gap(self, town: Any) -> Gap:
        return Gap(town.tenant, town.audit, town.at(9), town.at(11), 700.0)

    def test_a_gap_is_its_own_incident(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        silent = town.drop(set(Client), 1.0)
        run.hours(2, (), silent, gaps=[self.gap(town)])
        assert run.last.verdict is Verdict.TELEMETRY_GAP
        assert run.last.clients == ()
        assert run.last.confidence > 0.9
        assert run.last.headline.startswith(
            "No Exchange mailbox audit records from Thu 19 Mar 09:00 UTC to Thu 19 Mar 11:00 UTC"
        )
        assert "700" in run.last.headline
        run.hours(1)
        assert run.last.resolved_at == town.at(11)

    def test_a_drop_of_the_silent_source_belongs_to_the_gap(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        silent = town.drop(set(Client), 1.0)
        run.hours(1, drops(town, town.at(9), alarm=town.at(9, 20)), silent)
        run.hours(1, (), silent, gaps=[self.gap(town)])
        run.hours(1, drops(town, town.at(11), alarm=town.at(11, 20), name="edge"))
        assert len(run.latest()) == 1
        assert run.last.verdict is Verdict.TELEMETRY_GAP

    def test_a_drop_of_another_source_does_not(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        silent = town.drop(set(Client), 1.0)
        fail = town.fail(MOBILE, "service", 90033)
        run.hours(
            2,
            spikes(town, SERVICE, town.at(9, 5)),
            lambda rows: silent(fail(rows)),
            gaps=[self.gap(town)],
        )
        assert {i.verdict for i in run.latest().values()} == {
            Verdict.TELEMETRY_GAP,
            Verdict.SERVICE_OUTAGE,
        }

    def test_blind_hours_are_no_outage_even_without_a_gap_record(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        told = {(town.tenant, town.audit): np.full(60, 0.2, np.float32)}
        run.hours(1, drops(town, town.at(9)), town.drop(set(Client), 0.8), completeness=told)
        assert run.last.verdict is not Verdict.SERVICE_OUTAGE, explain(run.last)

    def test_server_side_records_falling_too_speak_for_the_feed(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = drops(town, town.at(9), {*MOBILE, Client.OWA, Client.OUTLOOK_WINDOWS_CLASSIC})
        run.hours(2, flags, town.drop(set(Client), 0.8))
        assert run.last.verdict is not Verdict.SERVICE_OUTAGE, explain(run.last)
        assert any(e.verdict is Verdict.TELEMETRY_GAP and e.weight > 0 for e in run.last.evidence)


class TestUndetermined:
    def test_holiday(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        away = {town.user_id(u) for u in range(town.users) if u % 10}
        flags = [
            town.flag(DROP, c, town.at(9), source=s)
            for c in (*sorted(MOBILE), Client.OWA, Client.OUTLOOK_WINDOWS_CLASSIC)
            for s in (town.signin, town.audit)
        ]

        def holiday(rows: Any) -> list[Any]:
            return [r for r in rows if r.user not in away or r.client is Client.SYSTEM]

        run.hours(4, flags, holiday)
        assert run.last.verdict is Verdict.UNDETERMINED, explain(run.last)
        assert run.last.severity is Severity.LOW
        assert any("nobody at work" in e.text for e in run.last.evidence)

    def test_all_clients_of_one_log_is_no_holiday_while_people_sign_in(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        everybody = {*MOBILE, Client.OWA, Client.OUTLOOK_WINDOWS_CLASSIC}
        everybody |= {Client.OUTLOOK_MAC_NEW, Client.OUTLOOK_MAC_LEGACY}
        run.hours(3, drops(town, town.at(9), everybody), town.drop(everybody, 0.9))
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)

    def test_migration_to_the_sibling_client(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        old = Client.OUTLOOK_WINDOWS_CLASSIC

        def moved(rows: Any) -> list[Any]:
            return [
                replace(r, client=Client.OUTLOOK_WINDOWS_NEW)
                if r.client is old and r.user % 5 < 3
                else r
                for r in rows
            ]

        flags = [town.flag(DROP, old, town.at(9), source=town.audit)]
        run.hours(3, flags, moved)
        assert run.last.verdict is Verdict.UNDETERMINED, explain(run.last)
        assert any("same product line" in e.text for e in run.last.evidence)

    def test_a_shift_of_few_on_a_day_with_fewer_people_is_habit(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        old = Client.OUTLOOK_WINDOWS_CLASSIC
        away = {town.user_id(u) for u in range(town.users) if u % 10 < 3}
        left = town.drop({old}, 0.3)

        def fewer(rows: Any) -> list[Any]:
            return left([r for r in rows if r.user not in away or r.client is Client.SYSTEM])

        moved = {"observed": {"users": 58.0}, "expected": {"users": 31.0}}
        flags = [town.flag(FlagKind.CLIENT_SHIFT, old, town.at(9), source=town.audit, **moved)]
        run.hours(3, flags, fewer)
        assert run.last.verdict is Verdict.UNDETERMINED, explain(run.last)
        assert any("habits change as much" in e.text for e in run.last.evidence)

    def test_moving_to_the_web_is_what_an_outage_looks_like(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        old = Client.OUTLOOK_WINDOWS_CLASSIC

        def moved(rows: Any) -> list[Any]:
            out = []
            for r in rows:
                if r.client is old and r.user % 5 < 3:
                    if (
                        (r.user - town.user_id(0)) // 1_000_003 % 3
                    ):  # the others are in Outlook on the web already
                        out.append(replace(r, client=Client.OWA))
                else:
                    out.append(r)
            seen = {}
            for r in out:
                seen.setdefault((r.hour, r.source, r.client, r.user), r)
            return list(seen.values())

        flags = [town.flag(DROP, old, town.at(9), source=town.audit)]
        run.hours(3, flags, moved)
        assert run.last.verdict is Verdict.SERVICE_OUTAGE, explain(run.last)
        owa = next(h for h in run.last.healthy_clients if h.client is Client.OWA)
        assert owa.affected_users_succeeding > 0.8 * run.last.affected_users
        assert run.last.onset_at == town.at(9)
        assert timedelta(0) < run.last.published_at - run.last.onset_at

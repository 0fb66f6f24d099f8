"""What an incident names: clients, onset, users, what still works, and the sentence."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipeline.correlate.stage import advance
from pipeline.correlate.state import CorrelateState
from pipeline.model.flag import FlagState
from pipeline.model.incident import RevisionReason, Severity
from pipeline.model.vocabulary import Client, FlagKind, OutcomeFamily, Service, Verdict

IOS, ANDROID, OWA = Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OWA
MAC, MAC_NEW = Client.OUTLOOK_MAC, Client.OUTLOOK_MAC_NEW
SPIKE, DROP, RETRY = FlagKind.FAILURE_SPIKE, FlagKind.VOLUME_DROP, FlagKind.RETRY_SURGE
SERVICE = OutcomeFamily.SERVICE


class TestClients:
    def test_coarse_mac_gives_way_to_the_generation_the_audit_tells(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        coarse = town.flag(RETRY, MAC, town.at(9, 5))
        first = run.hours(1, [coarse], town.drop({MAC_NEW}))
        assert first[0].clients == (MAC,)
        fine = town.flag(DROP, MAC_NEW, town.at(9), source=town.audit, alarm=town.at(10, 20))
        later = run.hours(2, [fine], town.drop({MAC_NEW}))
        assert run.last.clients == (MAC_NEW,)
        assert RevisionReason.SPREAD not in {i.reason for i in later}
        assert later

    @pytest.mark.parametrize(("failing", "named"), [((0,), MAC_NEW), ((0, 4), MAC)])
    def test_the_people_who_are_hit_tell_the_generation_of_a_mac(
        self, town: Any, failing: tuple[int, ...], named: Client
    ) -> None:
        hit = {town.user_id(u) for u in range(town.users) if u % 8 in failing}
        fail = town.fail({MAC}, "service", 90033, 1.0, only=lambda row: row.user in hit)
        run = town.run()
        run.hours(9)
        run.hours(2, [town.flag(SPIKE, MAC, town.at(9, 5), family=SERVICE)], fail)
        assert run.last.clients == (named,)

    @pytest.mark.parametrize(
        ("gone", "named"), [(set(), MAC), ({Client.OUTLOOK_MAC_LEGACY}, MAC_NEW)]
    )
    def test_under_other_ids_the_generation_that_nearly_all_have_is_named(
        self, town: Any, gone: set[Client], named: Client
    ) -> None:
        used = town.drop(gone, 1.0)
        state, _ = advance(CorrelateState(), town.block(town.at(0, day=-8), 192, used), ())
        fail = town.fail({MAC}, "service", 90033, 1.0)

        def under_other_ids(rows: list[Any]) -> list[Any]:
            return [
                replace(r, user=r.user + 1) if r.source is town.signin else r
                for r in used(fail(rows))
            ]

        run = type(town)(state).run()
        run.hours(9, (), used)
        flags = [town.flag(SPIKE, MAC, town.at(9, 5), family=SERVICE)]
        run.hours(2, flags, under_other_ids)
        assert run.last.clients == (named,)

    def test_weak_and_short_is_noise_but_weak_and_long_is_not(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        lead = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE, score=60.0)
        noise = town.flag(SPIKE, OWA, town.at(9, 30), family=SERVICE, score=12.0)
        small = town.flag(SPIKE, Client.IMAP4, town.at(9, 6), family=SERVICE, score=12.0)
        fail = town.fail({IOS}, "service", 90033)
        run.hours(2, [lead, noise, small, town.closing(noise, town.at(9, 45))], fail)
        fail_late = town.flag(SPIKE, ANDROID, town.at(12, 5), family=SERVICE, score=50.0)
        run.hours(3, [fail_late], fail)
        assert run.last.clients == (IOS, ANDROID, Client.IMAP4)
        assert noise.flag_id in run.last.flag_ids

    @pytest.mark.parametrize("client", [Client.OTHER, Client.SYSTEM])
    def test_nameless_clients_are_named_only_when_alone(self, town: Any, client: Client) -> None:
        alone, beside = town.run(), town.run()
        for run in (alone, beside):
            run.hours(9)
        vague = town.flag(SPIKE, client, town.at(9, 5), family=SERVICE)
        named = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
        alone.hours(1, [vague])
        beside.hours(1, [vague, named], town.fail({IOS}, "service", 90033))
        assert alone.last.clients == (client,)
        assert beside.last.clients == (IOS,)
        assert len(beside.latest()) == 1


class TestOnset:
    def onset(self, town: Any, *flags: Any) -> Any:
        run = town.run()
        run.hours(9)
        run.hours(6, flags, town.drop({IOS, ANDROID}))
        assert len(run.latest()) == 1
        return run.last.onset_at

    def test_a_lone_weak_early_flag_is_ignored(self, town: Any) -> None:
        weak = town.flag(DROP, IOS, town.at(9), source=town.audit, score=11.0)
        strong = [
            town.flag(DROP, c, town.at(11), source=town.audit, score=40.0) for c in (IOS, ANDROID)
        ]
        assert self.onset(town, weak, *strong) == town.at(11)

    def test_a_strong_early_flag_is_not(self, town: Any) -> None:
        early = town.flag(DROP, IOS, town.at(9), source=town.audit, score=38.0)
        strong = town.flag(DROP, ANDROID, town.at(11), source=town.audit, score=40.0)
        assert self.onset(town, early, strong) == town.at(9)

    def test_failures_date_it_better_than_audit_drops(self, town: Any) -> None:
        drop = town.flag(DROP, IOS, town.at(9), source=town.audit)
        spike = town.flag(SPIKE, IOS, town.at(9, 22), family=SERVICE)
        assert self.onset(town, drop, spike) == town.at(9, 22)

    def test_a_change_that_took_a_night_to_show_dates_nothing(self, town: Any) -> None:
        slow = town.flag(
            DROP, IOS, town.at(0, 30), source=town.audit, alarm=town.at(9, 50), score=14.0
        )
        prompt = town.flag(DROP, IOS, town.at(9), source=town.audit, name="prompt", score=14.0)
        assert self.onset(town, slow, prompt) == town.at(9)


class TestUsers:
    def test_missing_users_are_counted_close_to_the_truth(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [town.flag(DROP, c, town.at(9), source=town.audit) for c in (IOS, ANDROID)]
        run.hours(4, flags, town.drop({IOS, ANDROID}, 0.5))
        hit = sum((town.user_id(u) * 2_654_435_761 >> 7) % 100 < 50 for u in range(town.users))
        assert run.last.affected_users == pytest.approx(hit, rel=0.25)

    def test_a_person_seen_in_two_logs_counts_once(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(DROP, IOS, town.at(9), source=town.audit),
            town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE),
        ]
        fail, drop = town.fail({IOS}, "service", 90033, 1.0), town.drop({IOS}, 1.0)
        run.hours(2, flags, lambda rows: drop(fail(rows)))
        assert run.last.affected_users <= town.users / 2

    def test_minutes_lost_are_user_hours_missed_once_a_client(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [
            town.flag(DROP, IOS, town.at(9), source=town.audit),
            town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE),
        ]
        fail, drop = town.fail({IOS}, "service", 90033, 1.0), town.drop({IOS}, 1.0)
        run.hours(1, flags, lambda rows: drop(fail(rows)))
        # Sixty users of Outlook for iOS, about nine in ten of them there in any hour.
        assert run.last.user_minutes_lost == pytest.approx(60 * 54, rel=0.12)

    def test_a_few_missing_people_are_no_page(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flag = town.flag(DROP, OWA, town.at(9), source=town.audit)
        run.hours(2, [flag], town.drop({OWA}, 0.3))
        assert run.last.verdict is Verdict.UNDETERMINED
        assert run.last.severity is Severity.LOW

    def test_back_from_the_web_after_a_long_outage_is_no_outage(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [town.flag(DROP, c, town.at(9), source=town.audit) for c in (IOS, ANDROID)]

        def flight(rows: list[Any]) -> list[Any]:
            out = {}
            for r in rows:
                mail = r.source is town.audit and r.client in {IOS, ANDROID}
                row = replace(r, client=OWA) if mail else r
                out.setdefault((row.hour, row.source, row.client, row.user), row)
            return list(out.values())

        run.hours(39, flags, flight)
        run.hours(9, [town.closing(f, town.at(0, 20, 2)) for f in flags])
        back = town.flag(DROP, OWA, town.at(9, 0, 2), source=town.audit)
        out = run.hours(3, [back])
        mine = [i for i in out if i.clients == (OWA,)]
        assert {i.verdict for i in mine} == {Verdict.UNDETERMINED}
        assert "go back" in mine[0].headline


class TestAlternatives:
    def test_an_equally_broken_client_is_not_healthy(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flags = [town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)]
        fail = town.fail({IOS, OWA}, "service", 90033)  # the second is not flagged (yet)
        run.hours(2, flags, fail)
        healthy = {h.client for h in run.last.healthy_clients}
        assert OWA not in healthy
        assert ANDROID in healthy

    def test_other_services_when_nothing_else_reaches_this_one(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flag = town.flag(
            SPIKE, Client.COPILOT, town.at(9, 5), family=SERVICE, service=Service.COPILOT
        )
        run.hours(1, [flag])
        assert {h.service for h in run.last.healthy_clients} == {town.exo}


class TestHeadline:
    def test_drop_with_what_works(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        clients = (IOS, ANDROID, MAC_NEW)
        flags = [town.flag(DROP, c, town.at(9, 12), source=town.audit) for c in clients]
        run.hours(3, flags, town.drop(set(clients)))
        text = run.last.headline
        assert text.startswith("Outlook for iOS, Outlook for Android and new Outlook for Mac: ")
        assert " % fewer users than usual since Thu 19 Mar 09:12 UTC; " in text
        assert text.endswith(" work")

    def test_end_is_named_once_it_is_over(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flag = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
        run.hours(1, [flag, town.closing(flag, town.at(9, 50))], town.fail({IOS}, "service", 90033))
        run.hours(24)
        assert "from Thu 19 Mar 09:05 UTC to Thu 19 Mar 09:50 UTC" in run.last.headline
        assert "work" not in run.last.headline

    def test_a_closed_flag_alone_still_opens_an_incident(self, town: Any) -> None:
        run = town.run()
        run.hours(9)
        flag = town.flag(SPIKE, IOS, town.at(9, 5), family=SERVICE)
        blip = replace(flag, state=FlagState.CLOSED, revision=2, closed_at=town.at(9, 30))
        out = run.hours(1, [blip], town.fail({IOS}, "service", 90033))
        assert [i.reason for i in out][:1] == [RevisionReason.OPENED]

    def test_nothing_is_said_of_an_old_blip_never_heard_of(self, town: Any) -> None:
        run = town.run()
        flag = town.flag(SPIKE, IOS, town.at(9) - timedelta(days=3), family=SERVICE)
        assert run.hours(1, [town.closing(flag, town.at(0, 5))]) == []


def test_false_hopes_make_the_word_recovering_rarer(town: Any) -> None:
    """Bursts of a quarter of an hour every two hours: the first pauses fool, the later do not."""
    run = town.run()
    run.hours(7)
    for hour in range(7, 23, 2):
        flag = town.flag(SPIKE, IOS, town.at(hour, 5), family=SERVICE)
        closed = town.closing(flag, town.at(hour, 20))
        run.hours(1, [flag, closed], town.fail({IOS}, "service", 90033))
        run.hours(1)
    reasons = [i.reason for i in run.incidents]
    assert len(run.latest()) == 1
    assert reasons.count(RevisionReason.RECOVERING) <= 2


def test_an_incident_without_news_for_days_takes_nothing_new_in(town: Any) -> None:
    run = town.run()
    run.hours(9)
    old = town.flag(DROP, IOS, town.at(9), source=town.audit)  # its detector never closes it
    run.hours(50, [old], town.drop({IOS}))
    fresh = town.flag(SPIKE, IOS, run.at + timedelta(minutes=5), family=SERVICE)
    run.hours(1, [fresh], town.fail({IOS}, "service", 90033))
    assert len(run.latest()) == 2

"""The simulated traffic does what the labels say, and nothing else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from pipeline.model.clock import to_us
from pipeline.model.vocabulary import Client
from pipeline.simulate.catalog import FIRST_SYSTEM, SIGNIN_SOFTWARE
from pipeline.simulate.codes import INTERRUPTS
from pipeline.simulate.places import OFFICES
from pipeline.simulate.rhythm import local_to_us
from pipeline.simulate.run import simulate_day
from pipeline.simulate.spec import SimulationSpec
from pipeline.simulate.world import World

HOUR = 3_600_000_000
FAULTS = (90033, 90025, 50033, 90024, 50000, 90055)
CLIENT_OF = np.array([s.client.value for s in SIGNIN_SOFTWARE])
ONSET_DAY = date(2026, 3, 19)


@cache
def world(*scenarios, users=300, seed=1):
    return World(SimulationSpec(scenarios=scenarios or ("quiet",), users=users, seed=seed))


@cache
def day(day_, *scenarios, users=300, seed=1):
    return simulate_day(world(*scenarios, users=users, seed=seed), day_)


def of(rows, *clients):
    rows = rows[rows["software"] < len(CLIENT_OF)]
    return rows[np.isin(CLIENT_OF[rows["software"]], [str(c) for c in clients])]


def users_mail(rows):
    return rows[(rows["software"] < FIRST_SYSTEM) & (rows["operation"] == 0)]


def inside(rows, start, end):
    return rows[(rows["t"] >= start) & (rows["t"] < end)]


def label(w, name):
    return next(x for x in w.plan.labels if x.name == name)


MOBILE = (Client.OUTLOOK_IOS, Client.OUTLOOK_ANDROID, Client.OUTLOOK_MAC_NEW)


class TestQuietLife:
    def test_server_side_traffic_is_more_than_half_of_the_audit_log(self):
        for number in range(5):
            _, audit = day(date(2026, 3, 9) + timedelta(days=number))
            share = (audit["software"] >= FIRST_SYSTEM).mean()
            assert 0.5 < share < 0.65

    def test_it_goes_on_at_night(self):
        _, audit = day(date(2026, 3, 10))
        night = inside(audit, *(to_us(datetime(2026, 3, 10, h, tzinfo=UTC)) for h in (1, 4)))
        system = audit[audit["software"] >= FIRST_SYSTEM]
        assert (night["software"] >= FIRST_SYSTEM).sum() > 0.05 * system.size
        desk = of(night[night["software"] < FIRST_SYSTEM], Client.OUTLOOK_WINDOWS_CLASSIC)
        assert desk.size < 10

    def test_weekends_are_quiet_and_fridays_shorter(self):
        sizes = {d: of(day(date(2026, 3, d))[1], Client.OUTLOOK_WINDOWS_CLASSIC).size
                 for d in (11, 13, 15)}  # Wednesday, Friday, Sunday  # fmt: skip
        assert sizes[15] < 0.12 * sizes[11]
        assert sizes[13] < sizes[11]

    def test_background_failures_are_one_to_three_percent_of_members_signins(self):
        signins, _ = day(date(2026, 3, 11))
        assert 0.01 < (signins["code"] != 0).mean() < 0.035

    def test_service_faults_are_rare(self):
        signins, _ = day(date(2026, 3, 11))
        assert np.isin(signins["code"], FAULTS).mean() < 0.002

    def test_interrupts_share_their_correlation_with_a_success(self):
        signins, _ = day(date(2026, 3, 11))
        steps = np.unique(signins["corr"][np.isin(signins["code"], INTERRUPTS)])
        good = set(signins["corr"][signins["code"] == 0].tolist())
        joined = sum(c in good for c in steps.tolist())
        assert len(steps) > 20
        assert joined > 0.8 * len(steps)  # the rest: non-interactive demands for MFA

    def test_most_signins_are_not_interactive(self):
        signins, _ = day(date(2026, 3, 11))
        assert 5 < (signins["category"] == 1).sum() / (signins["category"] == 0).sum() < 25

    def test_delivery_delays(self):
        signins, audit = day(date(2026, 3, 11))
        late = (signins["avail"] - signins["t"]) / 60e6
        assert late.min() >= 1
        assert 2 < np.median(late) < 4
        late = (audit["avail"] - audit["t"]) / 60e6
        assert late.min() >= 50
        assert 60 < np.median(late) < 90

    def test_some_records_come_twice(self):
        signins, audit = day(date(2026, 3, 11))
        for rows in (signins[signins["code"] == 0], audit):
            again = rows.size - np.unique(rows["serial"]).size
            assert 0.003 < again / rows.size < 0.02

    def test_working_hours_follow_the_clock_change(self):
        nine = np.array([9.0])
        before = local_to_us(date(2026, 3, 27), "Europe/Berlin", nine)[0]
        after = local_to_us(date(2026, 3, 30), "Europe/Berlin", nine)[0]
        assert before == to_us(datetime(2026, 3, 27, 8, tzinfo=UTC))
        assert after == to_us(datetime(2026, 3, 30, 7, tzinfo=UTC))

    def test_the_switching_night_itself_has_both_offsets(self):
        hours = np.array([1.0, 3.0])
        early, late = local_to_us(date(2026, 3, 29), "Europe/Berlin", hours)
        assert late - early == HOUR

    def test_throttled_mailboxes_have_no_binds_for_a_day(self):
        w = world(users=2000, seed=3)
        account, start, end = (int(x) for x in w.throttles[0])
        where = datetime.fromtimestamp(start / 1e6, tz=UTC).date()
        _, audit = day(where, users=2000, seed=3)
        mine = audit[(audit["account"] == account) & (audit["operation"] == 0)]
        told = inside(mine, start, end)
        assert (told["sync"] == 1).all()
        assert (told["throttled"] == 1).all()
        burst = inside(mine, start - HOUR, start)
        assert burst["count"].sum() >= 1000
        assert burst["throttled"].any()


class TestEx1256020:
    def episodes(self):
        return world("ex1256020").plan.effects[0].episodes

    def test_days_before_are_the_quiet_ones(self):
        for quiet, other in zip(
            day(date(2026, 3, 17)), day(date(2026, 3, 17), "ex1256020"), strict=True
        ):
            np.testing.assert_array_equal(quiet["t"], other["t"])

    def test_accesses_fall_as_labelled(self):
        lost = kept = expected = 0.0
        for number in (0, 1, 4, 5, 6):
            at = ONSET_DAY + timedelta(days=number)
            quiet = users_mail(of(day(at)[1], *MOBILE))
            bad = users_mail(of(day(at, "ex1256020")[1], *MOBILE))
            for e in self.episodes():
                usual = inside(quiet, e.start, e.end).size
                kept += inside(bad, e.start, e.end).size
                lost += usual
                expected += usual * (1 - e.share)
        assert kept / lost == pytest.approx(expected / lost, abs=0.08)
        assert 0.12 < kept / lost < 0.40

    def test_pauses_between_episodes_are_normal(self):
        episodes = self.episodes()
        quiet = bad = 0
        for number in (0, 1, 4, 5, 6):
            at = ONSET_DAY + timedelta(days=number)
            for left, right in pairwise(episodes):
                span = (left.end, right.start)
                quiet += inside(users_mail(of(day(at)[1], *MOBILE)), *span).size
                bad += inside(users_mail(of(day(at, "ex1256020")[1], *MOBILE)), *span).size
        assert bad / quiet == pytest.approx(1, abs=0.2)

    def test_episodes_cover_most_of_the_time(self):
        episodes = self.episodes()
        on = sum(e.end - e.start for e in episodes)
        assert 0.7 < on / (episodes[-1].end - episodes[0].start) < 0.95

    def test_signin_log_shows_no_fault_but_more_requests(self):
        quiet, bad = day(ONSET_DAY)[0], day(ONSET_DAY, "ex1256020")[0]
        assert np.isin(of(bad, *MOBILE)["code"], FAULTS).mean() < 0.002
        assert of(bad, *MOBILE).size > 2 * of(quiet, *MOBILE).size
        start = to_us(datetime(2026, 3, 19, 8, tzinfo=UTC))
        users = {
            name: np.unique(of(inside(rows, start, start + 4 * HOUR), *MOBILE)["account"]).size
            for name, rows in (("quiet", quiet), ("bad", bad))
        }
        assert users["bad"] == pytest.approx(users["quiet"], rel=0.15)

    def test_some_users_turn_to_the_web_client_and_nobody_else_suffers(self):
        quiet, bad = day(ONSET_DAY)[1], day(ONSET_DAY, "ex1256020")[1]
        assert of(bad, Client.OWA).size > 1.08 * of(quiet, Client.OWA).size
        for client in (Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_MAC_LEGACY, Client.IMAP4):
            a, b = of(quiet, client).size, of(bad, client).size
            assert b == pytest.approx(a, rel=0.1, abs=25)


@pytest.mark.parametrize(
    ("name", "clients"),
    [
        ("all_protocols", (Client.OWA, Client.OUTLOOK_WINDOWS_CLASSIC, Client.ACTIVESYNC)),
        ("office_copilot", (Client.OFFICE_WEB, Client.COPILOT)),
        ("imap4", (Client.IMAP4,)),
        ("classic_outlook", (Client.OUTLOOK_WINDOWS_CLASSIC,)),
    ],
)
def test_loud_outages_fail_inside_and_only_there(name, clients):
    w = world(name)
    effect = w.plan.effects[0]
    start, end = effect.span
    where = datetime.fromtimestamp(start / 1e6, tz=UTC).date()
    signins, audit = day(where, name)
    hit = inside(of(signins, *clients), start, min(end, start + 10 * HOUR))
    share = np.isin(hit["code"], FAULTS).mean()
    assert 0.25 < share < 0.75
    others = signins[~np.isin(CLIENT_OF[signins["software"]], [str(c) for c in effect.clients])]
    assert np.isin(others["code"], FAULTS).mean() < 0.003
    before = inside(of(signins, *clients), start - 3 * HOUR, start)
    assert np.isin(before["code"], FAULTS).mean() < 0.02
    if name != "office_copilot":
        quiet = inside(of(day(where)[1], *clients), start, min(end, start + 8 * HOUR)).size
        bad = inside(of(audit, *clients), start, min(end, start + 8 * HOUR)).size
        assert bad < 0.75 * quiet


class TestConfounders:
    def test_spray_hits_many_users_from_few_foreign_networks(self):
        w = world("password_spray")
        e = w.plan.sprays[0]
        rows = inside(day(date(2026, 3, 16), "password_spray")[0], e.start, e.end)
        rows = rows[np.isin(rows["code"], (50126, 50053, 50034))]
        networks = {w.people.networks[i].name for i in rows["ip"].tolist()}
        assert rows.size >= 3000
        assert len([n for n in networks if n.startswith("hosting")]) == 5
        assert np.unique(rows["account"]).size > 290

    def test_storm_is_one_device_20_to_40_times_a_minute(self):
        e = world("retry_storm").plan.storms[0]
        rows = of(day(date(2026, 3, 16), "retry_storm")[0], Client.ACTIVESYNC)
        rows = inside(rows[np.isin(rows["code"], (50126, 50053))], e.start, e.end)
        _, first = np.unique(rows["serial"], return_index=True)
        rows = rows[first]
        a_minute = np.bincount((rows["t"] - e.start) // 60_000_000)
        assert a_minute.min() >= 18
        assert a_minute.max() <= 41
        accounts = np.bincount(rows["account"])
        assert accounts.max() >= 0.99 * rows.size

    def test_conditional_access_blocks_between_its_two_changes(self):
        w = world("conditional_access")
        found = label(w, "conditional_access")
        signins, _ = day(found.start.date(), "conditional_access")
        blocked = signins[signins["code"] == 53003]
        within = inside(blocked, to_us(found.start), to_us(found.end))
        assert np.unique(within["account"]).size > 40
        assert blocked.size - within.size < 0.15 * blocked.size
        changes = [c for c in w.plan.changes if "conditional access" in c.activity]
        assert len(changes) == 2
        assert changes[0].at < found.start

    def test_certificate_hits_federated_users_only(self):
        w = world("expired_certificate")
        found = label(w, "expired_certificate")
        signins, _ = day(found.start.date(), "expired_certificate")
        rows = signins[np.isin(signins["code"], (50008, 50107))]
        assert rows.size > 100
        assert w.people.accounts.federated[rows["account"]].all()
        assert inside(rows, to_us(found.start), to_us(found.end)).size == rows.size

    def test_office_is_silent_and_the_others_are_not(self):
        w = world("office_network")
        found = label(w, "office_network")
        span = (to_us(found.start), to_us(found.end))
        for rows in day(found.start.date(), "office_network"):
            part = inside(rows[(rows["ip"] >= 0)], *span)
            office = w.office_of_ip[part["ip"]]
            count = np.bincount(office[office >= 0], minlength=3)
            assert count[[o.name for o in OFFICES].index("munich")] == 0
            assert count[0] > 50

    def test_audit_gap_leaves_nothing(self):
        found = label(world("audit_gap"), "audit_gap")
        signins, audit = day(found.start.date(), "audit_gap")
        span = (to_us(found.start), to_us(found.end))
        assert inside(audit, *span).size == 0
        assert inside(signins, *span).size > 500

    def test_holiday_is_at_fifteen_percent(self):
        at = date(2026, 3, 23)
        quiet = of(day(at)[1], Client.OUTLOOK_WINDOWS_CLASSIC).size
        free = of(day(at, "holiday")[1], Client.OUTLOOK_WINDOWS_CLASSIC).size
        assert free / quiet == pytest.approx(0.15, abs=0.05)

    def test_migration_moves_users_from_classic_to_new(self):
        early, late = day(date(2026, 3, 4), "migration")[1], day(date(2026, 3, 26), "migration")[1]
        users = {
            (name, client): np.unique(of(rows, client)["account"]).size
            for name, rows in (("early", early), ("late", late))
            for client in (Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_WINDOWS_NEW)
        }
        classic, new = Client.OUTLOOK_WINDOWS_CLASSIC, Client.OUTLOOK_WINDOWS_NEW
        assert 0.55 < users["late", classic] / users["early", classic] < 0.85
        assert users["late", new] > 1.15 * users["early", new]

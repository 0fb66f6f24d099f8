"""Two weeks of troubles: every record is in the events once, whatever is killed on the way.

Five requests of a hundred throttled, two failing, some hung up on or cut off, tokens that live
for 20 minutes. ``OUTRIDER_TEST_LONG=1`` takes a fortnight and 30 kills; the short version one
day and three.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from datetime import timedelta

import pytest

from pipeline.correlate.stopped import StoppedFeeds, advance
from tests.live_sources.fortnight import MONDAY, World
from tests.services.audit_records import ADDRESS, USER
from tests.services.entra import SECRET

LONG = os.environ.get("OUTRIDER_TEST_LONG") == "1"
DAYS, KILLS = (14, 30) if LONG else (1, 3)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("fortnight"), DAYS)
    (made.folder / "state").mkdir()
    made.kills = 0
    with made.serving():
        made.activity.subscribe()
        chance = random.Random(7)
        running = made.start()
        while running.poll() is None:
            if made.kills < KILLS and made.clock.now() > MONDAY + made.kills * DAYS * DAY / KILLS:
                time.sleep(chance.uniform(0.5, 2.5))
                running.kill()
                running.wait()
                made.kills += 1
                running = made.start()
            time.sleep(0.02)
        assert running.returncode == 0, made.log[-3000:]
    return made


def test_every_record_is_in_the_events(world):
    found = world.read()
    for name, told in world.told.items():
        assert len(set(found[name])) == len(told), name


def test_each_is_there_once_but_what_the_service_itself_tells_twice(world):
    found = world.read()
    for name in ("entra", "entra_directory_audit"):
        assert max(Counter(found[name]).values()) == 1, name
    more = Counter(found["exchange_audit"])
    assert sum(more.values()) - len(more) <= world.again


def test_it_met_all_that_trouble(world):
    assert world.kills == KILLS
    for service in (world.graph, world.activity):
        assert min(service.faults.dealt.values()) > 0, service.faults.dealt
    assert len(world.entra.issued) > DAYS * 24 * 2


def test_no_secret_and_nobodys_name_is_in_the_log(world):
    for secret in (SECRET, USER, ADDRESS, "eyJ", "Bearer"):
        assert secret not in world.log, secret


def test_no_trouble_was_long_enough_for_an_alarm(world):
    state, newest = StoppedFeeds(), {}
    for notice in world.notices():
        newest[notice.feed] = notice
        state, incidents = advance(state, "t", newest, notice.at)
        assert not incidents


def test_advisories_came_too(world):
    assert {a.advisory_id for a in world.advisories()} == {"EX1256020", "EX1256021"}

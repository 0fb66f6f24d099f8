"""A few days of a small tenant as a real export, and the real command over it."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from datetime import UTC, datetime, timedelta

from tests import warm
from tests.unit.connectors.vendor_records import APPS, TENANT, guid, sign_in, stamp

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
DAYS = 3
PEOPLE = 40
OUTAGE = (2 * 24 + 9, 2 * 24 + 11)  # hours since Monday: Wednesday from nine to eleven
CONFIG = "[privacy]\nkey_file = {key}\n[detection]\nwarm_up_hours = 24\n"
STARTED = []
# So little is one poll otherwise: there would be nowhere to be killed between.
IN_SMALL_STEPS = """
from datetime import timedelta
from unittest.mock import patch
from pipeline.runtime.arrivals import Arrivals
from pipeline.runtime.live import engine, journal
Arrivals.__init__.__kwdefaults__["batch_rows"] = 200
patch.multiple(journal, SNAPSHOT_ROWS=2000).start()
patch.multiple(engine, CATCHING_UP=timedelta(hours=12)).start()
"""
# A full disk is looked at every ten seconds otherwise.
IMPATIENT = """
from pipeline.runtime import stopping
patient = stopping._Asked.wait
stopping._Asked.wait = lambda self, seconds=None: patient(self, min(seconds or 0.0, 0.2))
"""


def records(hours):
    """Sign-ins of those hours since Monday; always the same ones."""
    for hour in hours:
        rng = random.Random(hour)
        for person in range(PEOPLE):
            for app in range(2):
                if rng.random() > (0.8 if 7 <= hour % 24 < 18 else 0.3):
                    continue
                failing = app == 0 and OUTAGE[0] <= hour < OUTAGE[1] and rng.random() < 0.7
                at = MONDAY + timedelta(hours=hour, seconds=rng.randrange(3600))
                number = (hour * PEOPLE + person) * 2 + app
                app_id, name, system, agent = APPS[app]
                yield sign_in(
                    number,
                    createdDateTime=stamp(at),
                    userId=guid(900 + person),
                    appId=app_id,
                    appDisplayName=name,
                    userAgent=agent,
                    deviceDetail={"operatingSystem": system},
                    isInteractive=False,
                    signInEventTypes=["nonInteractiveUser"],
                    homeTenantId=TENANT,
                    userType="member",
                    status={"errorCode": 90033 if failing else 0},
                    autonomousSystemNumber=3320 + person % 5,
                )


def write(path, hours):
    """One file of JSON lines; it appears whole."""
    draft = path.with_suffix(".draft")
    draft.write_text("".join(json.dumps(r) + "\n" for r in records(hours)))
    draft.rename(path)


def export(folder):
    """The whole tenant with its configuration; gives the options of every command over it."""
    (folder / "logs").mkdir(parents=True)
    for day in range(DAYS):
        write(folder / "logs" / f"day-{day}.jsonl", range(24 * day, 24 * day + 24))
    (folder / "key").write_text("0123456789abcdef0123456789abcdef")
    config = folder / "outrider.toml"
    config.write_text(CONFIG.format(key=json.dumps(str(folder / "key"))))
    return [str(folder / "logs"), "--config", str(config)]


def start(command, *options, before="", around=()):
    """The command as a process of its own, perhaps started by another."""
    made = subprocess.Popen if around else warm.Popen
    process = made(
        [*map(str, around), sys.executable, "-c", before + warm.RUN, command, *map(str, options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def end_all():
    """Let no process outlive its test."""
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            process.kill()
            process.communicate()


def finish(process, codes=(0,)):
    """Wait for its end; what it said, and its log."""
    said, log = process.communicate(timeout=300)
    assert process.returncode in codes, log[-3000:]
    return said, log


def documents(state, name):
    """The lines of one of its files."""
    path = state / name
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

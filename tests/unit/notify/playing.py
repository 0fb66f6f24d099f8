"""A small world for the notify stage: incidents, a clock, a situation, and what was told."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from pipeline.model.clock import rfc3339
from pipeline.model.documents import from_json
from pipeline.model.notice import Ack, Notice, Silence
from pipeline.notify.holding import Situation
from pipeline.notify.stage import Input, advance
from pipeline.runtime.config_routes import Notify
from pipeline.runtime.notify_settings import notify_settings

MONDAY = datetime(2026, 3, 16, 9, tzinfo=UTC)
SINKS = ("pagerduty.oncall", "slack.team", "email.list")


def settings(told=None, sinks=SINKS):
    """Settings of the stage from a section of the configuration, written as in TOML."""
    section = Notify.model_validate_json(json.dumps(told or {}))
    return notify_settings(section, sinks)


def everything(*sinks, **more):
    """One route that takes all."""
    return {"sinks": list(sinks or ("slack.team",)), **more}


class World:
    """The stage with its state and its clock; ``told`` is all that was ever sent."""

    def __init__(self, section=None, *, at=MONDAY, sinks=SINKS):
        self.settings = settings(section, sinks)
        self.now, self.state, self.told = at, {}, []
        self.silences, self.acks = [], {}
        self.revisions = {}

    def incident(self, name="inc-1", **more):
        """The next revision of an incident; what is not named is as before."""
        before = self.revisions.get(name)
        document = before or {
            "schema": "outrider.incident/1",
            "incident_id": name,
            "revision": 0,
            "reason": "opened",
            "state": "open",
            "tenants": ["contoso"],
            "services": ["exchange_online"],
            "clients": ["outlook_ios"],
            "onset_at": rfc3339(self.now - timedelta(minutes=10)),
            "raised_at": rfc3339(self.now),
            "severity": "high",
            "verdict": "service_outage",
            "confidence": 0.9,
            "headline": "Outlook for iOS: something is wrong",
            "evidence": [],
            "scope": [],
            "affected_users": 40,
            "user_minutes_lost": 90.0,
            "healthy_clients": [],
            "error_codes": [],
            "flag_ids": ["flag-1"],
            "other_advisories": [],
            "recurrence_of": [],
            "arrival": "measured",
        }
        document = document | {"published_at": rfc3339(self.now)} | more
        document["revision"] = document["revision"] + ("revision" not in more)
        self.revisions[name] = document
        return document

    def step(self, *documents, caught_up=True):
        """One call of the stage; what it sent, in short."""
        arrived = Input(documents, self.silences, self.acks, caught_up)
        before = json.dumps(self.state, sort_keys=True)
        old = self.state
        self.state, notices = advance(old, arrived, self.now, self.settings)
        assert json.dumps(old, sort_keys=True) == before, "the old state was changed"
        self.state = json.loads(json.dumps(self.state))
        for notice in notices:
            from_json(Notice, notice)
        self.told += notices
        return [short(n) for n in notices]

    def tell(self, name="inc-1", **more):
        """A new revision, and what is sent of it at once."""
        return self.step(self.incident(name, **more))

    def wait(self, **stretch):
        """Let time pass at once, and look."""
        self.now += timedelta(**stretch)
        return self.step()

    def pass_by(self, step, **stretch):
        """Let time pass in small steps; all that was sent meanwhile."""
        until, found = self.now + timedelta(**stretch), []
        while self.now < until:
            self.now += step
            found += self.step()
        return found

    def ack(self, name="inc-1", until=None):
        self.acks[name] = Ack(name, self.now, "ana", "on it", until)

    def silence(self, *matchers, **stretch):
        made = Silence(
            f"sil-{len(self.silences)}",
            matchers,
            self.now,
            self.now + timedelta(**stretch),
            "ben",
            "known",
        )
        self.silences.append(made)
        return made

    @property
    def situation(self):
        known = self.state.get("incident", {})
        return Situation(self.settings, self.now, known, self.silences, self.acks)


def short(notice):
    """``slack.team opened inc-1/1 open``; of a group all incidents in their order."""
    names = "+".join(i["incident"]["incident_id"] for i in notice["incidents"])
    thread = (
        notice["notice_id"] if not notice["group"] and "grp-" not in notice["notice_id"] else names
    )
    return f"{notice['sink']} {notice['reason']} {thread}/{notice['revision']} {notice['state']}"

"""Places where people read, as receivers of their sinks."""

from __future__ import annotations

import html
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

from connectors.sinks.encoders.encoder import key_text
from connectors.sinks.mail import MailSink
from connectors.sinks.memory import Forgetful
from connectors.sinks.pagerduty import PagerDutySink
from connectors.sinks.servicenow import ServiceNowSink
from connectors.sinks.slack import SlackSink
from connectors.sinks.slack_webhook import SlackWebhookSink
from connectors.sinks.teams import TeamsSink
from connectors.sinks.webhook import WebhookSink
from pipeline.model.clock import ManualClock
from tests.contracts.sink_checks import BUSY, CUT, DENIED, DOWN, EVERYTHING, SinkCase
from tests.services import pagerduty, servicenow, slack, teams, webhooks
from tests.services.server import Reply
from tests.services.smtp import PASSWORD, MailServer, receiving
from tests.sinks.http_receiver import HttpReceiver
from tests.sinks.notices import HEAD, MESSAGE, record, shown, without_head

NOW = datetime(2026, 3, 19, 9, 40, tzinfo=UTC)
CAN = EVERYTHING


class _Receiver(HttpReceiver):
    def refuse(self, document):
        """A thread of its own: services refuse by thread, not by revision."""
        self.service.refused.add("inc-refused")
        return {**document, "notice_id": "inc-refused"}


def _receiver(kind, make, *, text, busy, denied):
    clock, seconds = ManualClock(NOW), [0.0]
    service = kind(clock)

    def wait(more):
        seconds[0] += more
        clock.advance(timedelta(seconds=more))

    def monotonic():
        return seconds[0]

    return _Receiver(
        service,
        lambda at: make(at, monotonic),
        text=text,
        busy=busy,
        denied=denied,
        wait=wait,
    )


def _case(build, *, secrets, shown=shown):
    def make():
        receiver = build()
        return receiver.sink(), receiver

    return SinkCase(make=make, document=record, secrets=secrets, shown=shown)


def teams_receiver():
    def text(service, key):
        (card,) = [c for c in service.cards if service.key_of(c) == key]
        return without_head(teams.runs(card)[0])

    return _receiver(
        teams.Teams,
        lambda at, monotonic: TeamsSink(lambda: at.address, MESSAGE, monotonic=monotonic),
        text=text,
        busy=teams.said(429, "TooManyRequests", {"Retry-After": "2"}),
        denied=teams.said(401, "DirectApiAuthorizationRequired"),
    )


def _in_a_card(text):
    whole = HEAD + shown(text)
    for marks, apart in (("{{", "{ {"), ("@{", "@ {"), ("${", "$ {")):
        whole = whole.replace(marks, apart)
    return whole.removeprefix(HEAD)


def teams_case(_tmp_path):
    return _case(teams_receiver, secrets=(teams.SIGNATURE,), shown=_in_a_card)


def _slack_title(sent):
    """The title as it stands in the text that notifications show."""
    return html.unescape(sent["text"]).partition(" ")[2].removesuffix(" This has just been found.")


def slack_webhook_receiver():
    def text(service, key):
        (sent,) = [s for s in service.posted if slack.reference(s) == f"{key[0]}:{key[1]}"]
        return without_head(_slack_title(sent))

    return _receiver(
        slack.Slack,
        lambda at, monotonic: SlackWebhookSink(lambda: at.hook, MESSAGE, monotonic=monotonic),
        text=text,
        busy=Reply(429, body=b"rate_limited", headers={"Retry-After": "2"}),
        denied=Reply(403, body=b"invalid_token"),
    )


def slack_webhook_case(_tmp_path):
    return _case(slack_webhook_receiver, secrets=("secret-of-a-hook",))


def slack_receiver(memory=None, **options):
    kept = memory or Forgetful()

    def text(service, key):
        wanted = key_text(*key)
        (sent,) = [
            m for m in service.messages.values() if m["metadata"]["event_payload"]["key"] == wanted
        ]
        return without_head(_slack_title(sent))

    return _receiver(
        slack.Slack,
        lambda at, monotonic: SlackSink(
            lambda: slack.TOKEN,
            slack.CHANNEL,
            MESSAGE,
            memory=kept,
            address=at.root,
            clock=at.clock,
            monotonic=monotonic,
            **options,
        ),
        text=text,
        busy=Reply(429, {"ok": False, "error": "ratelimited"}, {"Retry-After": "2"}),
        denied=slack.no("invalid_auth"),
    )


def slack_case(_tmp_path):
    return _case(slack_receiver, secrets=(slack.TOKEN,))


def pagerduty_receiver(**options):
    def text(service, key):
        (event,) = [e for e in service.events if e["dedup_key"] == key[0]]
        return without_head(event["payload"]["summary"])

    return _receiver(
        pagerduty.PagerDuty,
        lambda at, _monotonic: PagerDutySink(
            lambda: pagerduty.ROUTING_KEY, MESSAGE, address=at.root, **options
        ),
        text=text,
        busy=Reply(429, {"status": "throttle exceeded"}),
        denied=pagerduty.invalid("Invalid routing key"),
    )


def pagerduty_case(_tmp_path):
    return _case(pagerduty_receiver, secrets=(pagerduty.ROUTING_KEY,))


def servicenow_receiver(**options):
    def text(service, key):
        (row,) = [r for r in service.rows if r["message_key"] == key[0]]
        return without_head(row["description"].partition("\n")[0])

    return _receiver(
        servicenow.ServiceNow,
        lambda at, _monotonic: ServiceNowSink(
            at.root, lambda: servicenow.BASIC, MESSAGE, **{"at_once": 3, **options}
        ),
        text=text,
        busy=servicenow.failure(429, "Rate limit exceeded", {"Retry-After": "2"}),
        denied=servicenow.failure(401, "User Not Authenticated"),
    )


def servicenow_case(_tmp_path):
    return _case(servicenow_receiver, secrets=(servicenow.PASSWORD, servicenow.BASIC))


def webhook_receiver(**options):
    def text(service, key):
        body = service.documents[key_text(*key)]
        return body["incidents"][0]["incident"]["headline"]

    return _receiver(
        webhooks.Webhooks,
        lambda at, _monotonic: WebhookSink(
            lambda: at.address,
            lambda: webhooks.SECRET,
            key_id="2026-03",
            clock=at.clock,
            **options,
        ),
        text=text,
        busy=Reply(429, headers={"Retry-After": "2"}),
        denied=Reply(401),
    )


def webhook_case(_tmp_path):
    return _case(webhook_receiver, secrets=(webhooks.SECRET,), shown=lambda text: text)


class MailReceiver:
    """A mail server as the receiver of its sink: a request is a mail."""

    sender = "outrider@example.com"

    def __init__(self, recipients=("oncall@example.com", "desk@example.com")):
        self.server, self.recipients = MailServer(), list(recipients)
        self.told = []
        self._open = ExitStack()
        self._open.enter_context(receiving(self.server))

    def sink(self):
        return MailSink(
            "localhost",
            self.server.port,
            sender=self.sender,
            recipients=self.recipients,
            message=MESSAGE,
            security="none",
            tell=self.told.append,
        )

    def accepted(self):
        return self.server.accepted()

    def text(self, key):
        (mail,) = [m for _, m in self.server.mails if m["Outrider-Key"] == key_text(*key)]
        plain = mail.get_body(("plain",)).get_content()
        return without_head(plain.splitlines()[0])

    def refuse(self, document):
        """A newer program wrote it: the words for it are missing here."""
        return {**document, "state": "unheard of"}

    def fail(self, kind, after=0):
        left = after

        def trouble(command):
            nonlocal left
            if command == "MAIL":
                left -= 1
            if left >= 0:
                return None
            if kind == DOWN and command == "MAIL":
                return "hang up"
            if kind == BUSY and command == "MAIL":
                return "451 4.7.1 later"
            if kind == DENIED and command == "MAIL":
                return "530 5.7.0 authentication required"
            return "lost" if kind == CUT and command == "." else None

        self.server.trouble = trouble if kind else lambda _command: None

    def wait(self, seconds):
        assert seconds >= 0

    def close(self):
        self._open.close()


def mail_case(_tmp_path):
    return _case(MailReceiver, secrets=(PASSWORD,))


CASES = {
    "teams": (teams_case, CAN),
    "slack": (slack_case, CAN),
    "slack_webhook": (slack_webhook_case, CAN),
    "pagerduty": (pagerduty_case, CAN),
    "servicenow": (servicenow_case, CAN),
    "webhook": (webhook_case, CAN),
    "email": (mail_case, CAN),
}

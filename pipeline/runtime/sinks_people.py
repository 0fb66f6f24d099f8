"""Destinations where people read, by their sections of the configuration."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, TypeAlias

from connectors.sinks.mail import Login, MailSink
from connectors.sinks.pagerduty import ADDRESS, EU_ADDRESS, PagerDutySink
from connectors.sinks.servicenow import ServiceNowSink
from connectors.sinks.slack import SlackSink
from connectors.sinks.slack_webhook import SlackWebhookSink
from connectors.sinks.teams import TeamsSink
from connectors.sinks.webhook import WebhookSink
from pipeline.runtime.config_people import Email, PagerDuty, ServiceNow, Slack, Teams, Webhook
from pipeline.runtime.secret_files import read_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from connectors.sinks.memory import Memory
    from pipeline.model.contracts import Sink
    from pipeline.model.message import Message

Section: TypeAlias = Teams | Slack | PagerDuty | ServiceNow | Email | Webhook
SECTIONS: dict[str, type[Section]] = {
    "teams": Teams,
    "slack": Slack,
    "pagerduty": PagerDuty,
    "servicenow": ServiceNow,
    "email": Email,
    "webhook": Webhook,
}
"""By type, as it stands in ``[deliver.TYPE.NAME]``."""


def make(
    name: str,
    section: Section,
    *,
    message: Callable[[Mapping[str, Any]], Message],
    memory: Memory | None = None,
    tell: Callable[[str], None] = lambda _text: None,
) -> Sink:
    """The destination that a section tells.

    Args:
        name: as in the configuration: ``slack.oncall``.
        section: checked already; secrets are read when they are used.
        message: a notice in words.
        memory: keeps what the destination has to know of a thread; used by Slack's bot.
        tell: hears of recipients whom a mail server refuses.
    """
    if isinstance(section, Teams):
        return TeamsSink(_secret(name, section, "url"), message, ca_file=section.ca_file)
    if isinstance(section, Slack):
        return _slack(name, section, message, memory)
    if isinstance(section, PagerDuty):
        usual = EU_ADDRESS if section.region == "eu" else ADDRESS
        return PagerDutySink(
            _secret(name, section, "routing_key"),
            message,
            address=section.address or usual,
            changes=section.change_events,
            ca_file=section.ca_file,
        )
    if isinstance(section, ServiceNow):
        return ServiceNowSink(
            section.address,
            _authorization(name, section),
            message,
            at_once=section.at_once,
            ca_file=section.ca_file,
        )
    if isinstance(section, Email):
        return _mail(name, section, message, tell)
    return WebhookSink(
        _secret(name, section, "url"),
        _secret(name, section, "secret"),
        key_id=section.key_id,
        ca_file=section.ca_file,
    )


def _slack(
    name: str,
    section: Slack,
    message: Callable[[Mapping[str, Any]], Message],
    memory: Memory | None,
) -> Sink:
    if not section.by_bot:
        return SlackWebhookSink(_secret(name, section, "url"), message, ca_file=section.ca_file)
    return SlackSink(
        _secret(name, section, "token"),
        section.channel or "",
        message,
        memory=memory,
        address=section.address,
        ca_file=section.ca_file,
    )


def _mail(
    name: str,
    section: Email,
    message: Callable[[Mapping[str, Any]], Message],
    tell: Callable[[str], None],
) -> Sink:
    login = None
    if section.user is not None:
        login = Login(section.user, _secret(name, section, "password"))
    return MailSink(
        section.host,
        section.used_port,
        sender=section.sender,
        recipients=section.recipients,
        message=message,
        security=section.security,
        login=login,
        ca_file=section.ca_file,
        tell=tell,
    )


def _authorization(name: str, section: ServiceNow) -> Callable[[], str]:
    if section.user is None:
        token = _secret(name, section, "token")
        return lambda: f"Bearer {token()}"
    user, password = section.user, _secret(name, section, "password")
    return lambda: "Basic " + base64.b64encode(f"{user}:{password()}".encode()).decode()


def _secret(name: str, section: Section, secret: str) -> Callable[[], str]:
    """What reads a secret, at each use: one that was changed on disk is used at once."""
    path = getattr(section, f"{secret}_file")
    variable = getattr(section, f"{secret}_variable") or ""
    what = f"the {secret.replace('_', ' ')} of {name}"
    return lambda: read_secret(path, variable, what, f"deliver.{name}.{secret}_file")

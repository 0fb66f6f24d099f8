"""Sections of the configuration that tell where people read notices: ``[deliver.slack.oncall]``."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from pipeline.runtime.config_microsoft import Address  # noqa: TC001 # the same
from pipeline.runtime.config_section import Section, Variable

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
# What SMTP takes unquoted; nothing in it could end a command or a header.
_MAIL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")
_PORTS: Final = {"starttls": 587, "tls": 465, "none": 25}


def _mail_address(text: str) -> str:
    if not _MAIL.fullmatch(text):
        raise ValueError("must be a mail address like oncall@example.com, without a name")
    return text


MailAddress = Annotated[str, AfterValidator(_mail_address)]


def _variable(example: str) -> Any:
    return Field(
        default=None,
        description="Variable of the environment with it instead.",
        examples=[example],
    )


def one_of(section: Section, secret: str, *, needed: bool = True) -> None:
    """See that a secret is named in one way.

    Args:
        section: with the keys ``SECRET_file`` and ``SECRET_variable``.
        secret: its name.
        needed: whether it must be there.

    Raises:
        ValueError: it is named twice, or not at all.
    """
    keys = [f"{secret}_file", f"{secret}_variable"]
    named = [key for key in keys if getattr(section, key) is not None]
    if len(named) > 1:
        raise ValueError(f"{' and '.join(named)} contradict each other; keep one")
    if needed and not named:
        raise ValueError(f"{secret}_file is missing: name the file that holds it")


class Place(Section):
    """What all of them have."""

    ca_file: Path | None = Field(
        default=None,
        description="Authorities to trust for its certificate, PEM; for a proxy that looks into "
        "TLS, or a server of your own. Default: those of the system.",
        examples=["/etc/outrider/proxy-ca.pem"],
    )

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        names = [n for n in type(self).model_fields if n.endswith("_file") and n != "ca_file"]
        return [getattr(self, name) for name in names]


class Teams(Place):
    """A channel or chat of Microsoft Teams, by a workflow."""

    url_file: Path | None = Field(
        default=None,
        description="File with the workflow's address; whoever has the address may post.",
        examples=["/run/secrets/teams-oncall-url"],
    )
    url_variable: Variable | None = _variable("TEAMS_ONCALL_URL")

    @model_validator(mode="after")
    def _complete(self) -> Teams:
        one_of(self, "url")
        return self


class Slack(Place):
    """A channel of Slack: by a bot that keeps threads together, or by an incoming webhook."""

    token_file: Path | None = Field(
        default=None,
        description="File with the Bot User OAuth Token (xoxb-...); asks for channel.",
        examples=["/run/secrets/slack-token"],
    )
    token_variable: Variable | None = _variable("SLACK_TOKEN")
    channel: str | None = Field(
        default=None,
        pattern=r"^[A-Z0-9]{6,20}$",
        description="Id of the channel that the bot posts to, from 'View channel details'.",
        examples=["C024BE91L"],
    )
    address: Address = Field(
        default="https://slack.com",
        description="Address of Slack for the bot; https://slack-gov.com for GovSlack.",
    )
    url_file: Path | None = Field(
        default=None,
        description="File with the address of an incoming webhook, in place of a token: each "
        "notice is then a message of its own.",
        examples=["/run/secrets/slack-hook"],
    )
    url_variable: Variable | None = _variable("SLACK_HOOK")

    @property
    def by_bot(self) -> bool:
        """Whether a bot posts."""
        return self.token_file is not None or self.token_variable is not None

    @model_validator(mode="after")
    def _complete(self) -> Slack:
        one_of(self, "token", needed=False)
        one_of(self, "url", needed=not self.by_bot)
        if self.by_bot and (self.url_file is not None or self.url_variable is not None):
            raise ValueError("token_file and url_file contradict each other; keep one")
        if self.by_bot and self.channel is None:
            raise ValueError("channel is missing: name the id of the channel to post to")
        if not self.by_bot and self.channel is not None:
            raise ValueError("channel has no effect on a webhook, which has its own; leave it out")
        return self


class PagerDuty(Place):
    """A service of PagerDuty, by its Events API v2 integration."""

    routing_key_file: Path | None = Field(
        default=None,
        description="File with the integration key, 32 characters.",
        examples=["/run/secrets/pagerduty-key"],
    )
    routing_key_variable: Variable | None = _variable("PAGERDUTY_KEY")
    region: Literal["us", "eu"] = Field(
        default="us", description="Service region of the account, as its address tells."
    )
    address: Address | None = Field(
        default=None,
        description="Address of the Events API, where region names none that fits.",
        examples=["https://events.eu.pagerduty.com"],
    )
    change_events: bool = Field(
        default=False,
        description="Send incidents that a change of our own explains as change events, which "
        "wake nobody, in place of alerts.",
    )

    @model_validator(mode="after")
    def _complete(self) -> PagerDuty:
        one_of(self, "routing_key")
        return self


class ServiceNow(Place):
    """Event Management of a ServiceNow instance."""

    address: Address = Field(
        description="Address of the instance.", examples=["https://example.service-now.com"]
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        pattern=r"^[^:]+$",
        description="A user with the role evt_mgmt_integration; asks for password_file.",
        examples=["outrider"],
    )
    password_file: Path | None = Field(
        default=None,
        description="File with the user's password.",
        examples=["/run/secrets/servicenow-password"],
    )
    password_variable: Variable | None = _variable("SERVICENOW_PASSWORD")
    token_file: Path | None = Field(
        default=None,
        description="File with an OAuth access token, in place of a user; it is read at each "
        "request, so that something else may renew it.",
        examples=["/run/secrets/servicenow-token"],
    )
    token_variable: Variable | None = _variable("SERVICENOW_TOKEN")
    at_once: int = Field(
        default=50,
        ge=1,
        le=500,
        description="Events in one request; 1 uses the table API alone, for instances without the "
        "JSONv2 web service.",
    )

    @model_validator(mode="after")
    def _complete(self) -> ServiceNow:
        one_of(self, "password", needed=self.user is not None)
        one_of(self, "token", needed=self.user is None)
        if self.user is not None and (
            self.token_file is not None or self.token_variable is not None
        ):
            raise ValueError("user and token_file contradict each other; keep one")
        if self.user is None and (self.password_file or self.password_variable):
            raise ValueError("user is missing: name whose password it is")
        return self


class Email(Place):
    """Mailboxes, by SMTP."""

    host: str = Field(
        pattern=r"^[A-Za-z0-9.:-]+$",
        description="The mail server.",
        examples=["smtp.example.com"],
    )
    port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="Its port; default: 587 with starttls, 465 with tls, 25 with none.",
        examples=[587],
    )
    security: Literal["starttls", "tls", "none"] = Field(
        default="starttls",
        description="starttls: the connection is encrypted before anything is told; tls: from the "
        "first byte on; none: only for a server on this machine.",
    )
    sender: MailAddress = Field(
        description="Address that the mails come from.", examples=["outrider@example.com"]
    )
    recipients: Annotated[list[MailAddress], Field(min_length=1, max_length=50)] = Field(
        description="Addresses that they go to, at most 50; use a list of your mail system for more.",
        examples=[["oncall@example.com"]],
    )
    user: str | None = Field(
        default=None,
        min_length=1,
        description="Who signs in, if the server asks for it; asks for password_file.",
        examples=["outrider@example.com"],
    )
    password_file: Path | None = Field(
        default=None,
        description="File with the password.",
        examples=["/run/secrets/smtp-password"],
    )
    password_variable: Variable | None = _variable("SMTP_PASSWORD")

    @property
    def used_port(self) -> int:
        """The port, or the usual one."""
        return self.port or _PORTS[self.security]

    @model_validator(mode="after")
    def _complete(self) -> Email:
        one_of(self, "password", needed=self.user is not None)
        if self.user is None and (self.password_file or self.password_variable):
            raise ValueError("user is missing: name whose password it is")
        if self.security == "none" and self.host not in _LOCAL:
            raise ValueError(
                'security = "none" is for a server on this machine; use starttls or tls'
            )
        return self


class Webhook(Place):
    """An address of your own that takes signed JSON."""

    url_file: Path | None = Field(
        default=None,
        description="File with the address, https://...",
        examples=["/run/secrets/webhook-url"],
    )
    url_variable: Variable | None = _variable("WEBHOOK_URL")
    secret_file: Path | None = Field(
        default=None,
        description="File with the secret that signatures are made with, at least 16 bytes.",
        examples=["/run/secrets/webhook-secret"],
    )
    secret_variable: Variable | None = _variable("WEBHOOK_SECRET")
    key_id: str = Field(
        default="1",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Told with each signature, so that the receiver can know an old and a new "
        "secret for a while.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Webhook:
        one_of(self, "url")
        one_of(self, "secret")
        return self

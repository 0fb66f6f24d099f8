"""Whether Entra lets the application of [microsoft] in at one tenant, and with which roles."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from cryptography import x509

from connectors.auth_errors import refusal
from connectors.http.answers import RefusedError
from connectors.http.client import HttpClient
from pipeline.model.errors import OutriderError
from pipeline.runtime.checking.clocks import agreed
from pipeline.runtime.checking.finding import Finding, State, of_error, skipped
from pipeline.runtime.checking.places import Place, reached
from pipeline.runtime.identity import signed_in

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from connectors.auth import Identity
    from pipeline.model.clock import Clock
    from pipeline.runtime.config_microsoft import Microsoft

# Entra takes a new certificate at once; a person needs a while to make one.
_FEW_DAYS: Final = 30
_UNKNOWN: Final = ("AADSTS700016", "AADSTS7000229", "AADSTS65001")
# What is wrong with one scope says nothing of the others.
_OF_SCOPE: Final = ("AADSTS500011", "AADSTS501051", "AADSTS70011", "AADSTS1002012")


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of asking for a token.

    Attributes:
        finding: how it ended.
        roles: that the token carries; None = there is no token, or it does not tell.
    """

    finding: Finding
    roles: frozenset[str] | None = None

    @property
    def given(self) -> bool:
        """Whether there is a token."""
        return self.finding.state is State.OK


@dataclass(slots=True)
class Access:
    """The application at one tenant.

    Attributes:
        section: of the configuration.
        tenant: to sign in at.
        where: words for the findings.
        identity: gives tokens.
        clock: of this machine.
        blocked: why no token can be had, empty if it may.
    """

    section: Microsoft
    tenant: str
    where: str
    clock: Clock
    identity: Identity = field(init=False)
    blocked: str = ""
    _granted: dict[str, Granted] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the identity, which signs in when it is asked for a token."""
        self.identity = signed_in(self.section, self.tenant, self.clock)

    @property
    def consent(self) -> str:
        """Where an administrator consents to what the application asks for; empty if nowhere."""
        if self.section.managed_identity or self.section.client_id is None:
            return ""
        return f"{self.section.login}/{self.tenant}/adminconsent?client_id={self.section.client_id}"

    def look(self) -> list[Finding]:
        """Look at the way to Entra, before any token is asked for."""
        found = _own_certificate(self.where, self.section.certificate_file, self.clock.now())
        if self.section.managed_identity:
            return found
        login = Place.of(self.section.login, self.section.ca_file)
        found += reached(self.where, login, self.clock)
        if found[-1].state in {State.FAIL, State.SKIP}:
            self.blocked = "the sign-in service is not reached"
            return found
        more = self._tenant()
        if any(f.state is State.FAIL and f.what == "tenant" for f in more):
            self.blocked = "the tenant is not known"
        return found + more

    def _tenant(self) -> list[Finding]:
        """Ask for the tenant's public document: it needs no credential, and tells the time."""
        client = HttpClient(
            "Entra", self.section.login, ca_file=self.section.ca_file, clock=self.clock
        )
        try:
            client.get(f"{self.tenant}/v2.0/.well-known/openid-configuration")
        except RefusedError as refused:
            told = refusal(_document(refused.text), f"tenant {self.tenant}", "check tenant")
            return [
                agreed(self.where, client.skew),
                of_error(self.where, "tenant", told),
            ]
        except OutriderError as error:
            return [of_error(self.where, "tenant", error)]
        finally:
            client.close()
        return [
            agreed(self.where, client.skew),
            Finding(self.where, "tenant", State.OK, f"{self.tenant} is known there"),
        ]

    def granted(self, scope: str, what: str) -> Granted:
        """What comes of asking for a token for ``scope``; it is asked for once.

        Args:
            scope: to ask for.
            what: it is for, in words.
        """
        if scope not in self._granted:
            self._granted[scope] = self._ask(scope, what)
        return self._granted[scope]

    def _ask(self, scope: str, what: str) -> Granted:
        label = "token"
        if self.blocked:
            return Granted(skipped(self.where, label, f"for {what}, {self.blocked}"))
        try:
            token = self.identity.token(scope)
        except OutriderError as error:
            finding = self._refused(of_error(self.where, label, error))
            if not finding.told.endswith(_OF_SCOPE):
                self.blocked = "the sign-in failed before"
            return Granted(finding)
        claims = claims_of(token)
        # A person's token tells its permissions in one text, an application's as roles.
        roles = [*claims.get("roles", []), *claims.get("scp", "").split()] if claims else None
        known = frozenset(r for r in roles if isinstance(r, str)) if roles is not None else None
        return Granted(Finding(self.where, label, State.OK, f"given for {what}"), known)

    def _refused(self, finding: Finding) -> Finding:
        """Without what is said elsewhere; with the address of consent where that helps."""
        told, remedy = finding.told, finding.remedy
        if told.startswith("sign-in of application"):
            told = f"application {self.section.client_id}: {told.rpartition(': ')[2]}"
        # Where the tenant does not know the application, consent is what makes it known.
        if self.consent and told.endswith(_UNKNOWN):
            remedy = f"{remedy}; let an administrator open {self.consent}"
        return Finding(finding.where, finding.what, finding.state, told, remedy)


def claims_of(token: str) -> dict[str, Any]:
    """What a token says of itself, unverified: good for telling what is missing, no more.

    >>> claims_of("an opaque token")
    {}
    """
    try:
        body = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _own_certificate(where: str, path: Path | None, now: datetime) -> list[Finding]:
    if path is None:
        return []
    try:
        ends = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except OSError as error:
        told, remedy = f"{path}: cannot be read: {error.strerror}", "make it readable for us"
        return [Finding(where, "certificate", State.FAIL, told, remedy)]
    except ValueError:
        told = f"{path}: holds no certificate in PEM form"
        remedy = "name the file that starts with -----BEGIN CERTIFICATE-----"
        return [Finding(where, "certificate", State.FAIL, told, remedy)]
    days = (ends - now).days
    remedy = (
        "make a new one ('outrider setup' prints how), add it to the application, then put it "
        "into the place of the old one"
    )
    if ends <= now:
        told = f"{path}: our certificate expired on {ends:%Y-%m-%d}"
        return [Finding(where, "certificate", State.FAIL, told, remedy)]
    told = f"{path}: our certificate is good for {days} more days"
    if days < _FEW_DAYS:
        return [Finding(where, "certificate", State.WARN, told, remedy)]
    return [Finding(where, "certificate", State.OK, told)]

"""Who may come in of those whom Entra knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pipeline.notify.clean import clean
from pipeline.runtime.identity import sign_in_page
from pipeline.web.pages_sign_in import BACK
from pipeline.web.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from structlog.typing import FilteringBoundLogger

    from pipeline.runtime.config_serve import Oidc as OidcSettings

_NAME: Final = 80


class Oidc:
    """The sign-in of people at Entra.

    Args:
        settings: checked already.
        url: address of this server, which Entra sends people back to.
        log: one line for each sign-in that failed, without names.
    """

    def __init__(self, settings: OidcSettings, url: str, log: FilteringBoundLogger) -> None:
        self._groups, self._roles = set(settings.allowed_groups), set(settings.allowed_roles)
        self._everybody = settings.allow_whole_tenant
        self._page, self._log = sign_in_page(settings, url.rstrip("/") + BACK), log

    def begin(self, target: str) -> tuple[str, dict[str, Any]]:
        """Where to send a browser, and what to remember until it is back.

        Raises:
            OutriderError: see :class:`connectors.auth.SignIn`.
        """
        address, flow = self._page.begin()
        return address, {**flow, "next": target}

    def finish(self, flow: Mapping[str, Any], answer: Mapping[str, str]) -> str:
        """The name of a person who came back and may come in.

        Raises:
            ProblemError: 403; they may not.
            OutriderError: the sign-in failed.
        """
        claims = self._page.finish({k: v for k, v in flow.items() if k != "next"}, answer)
        if not self._may(claims):
            self._log.warning("sign-in", outcome="refused", error="neither group nor role fits")
            raise ProblemError(403, _why(claims))
        return clean(claims.get("preferred_username") or claims.get("name") or "", _NAME)

    def failed(self, error: Exception) -> None:
        """Note a sign-in that failed."""
        self._log.warning("sign-in", outcome="failed", error=str(error))

    def _may(self, claims: Mapping[str, Any]) -> bool:
        return (
            self._everybody
            or bool(self._groups.intersection(_names(claims, "groups")))
            or bool(self._roles.intersection(_names(claims, "roles")))
        )


def _names(claims: Mapping[str, Any], name: str) -> list[str]:
    found = claims.get(name)
    return [v for v in found if isinstance(v, str)] if isinstance(found, list) else []


def _why(claims: Mapping[str, Any]) -> str:
    sources = claims.get("_claim_names")
    if isinstance(sources, dict) and "groups" in sources:
        return (
            "You are in more groups than a token holds, so that yours are not known here; ask for "
            "a role of the application instead."
        )
    return "You are known, and may not see this: ask for the group or the role that may."

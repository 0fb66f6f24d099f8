"""The section of the configuration that tells where Microsoft 365 is and who asks it."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, ClassVar, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from connectors.clouds import CLOUDS, Cloud, CloudName
from pipeline.runtime.config_entra import Credential
from pipeline.runtime.secret_files import CLIENT_KEY_PASSWORD, CLIENT_SECRET

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


def _address(text: str) -> str:
    parts = urlsplit(text)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if (parts.scheme != "https" and not local) or not parts.hostname or parts.path.strip("/"):
        raise ValueError("must be https://HOST, without a path")
    return text.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


class Microsoft(Credential):
    """Who asks Microsoft 365 for logs and advisories, and in which cloud it lives."""

    cloud: CloudName = Field(
        default="public",
        description="Which Microsoft cloud; china is the one that 21Vianet runs, and offers no "
        "Management Activity API.",
    )
    tenants: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9.-]+$")]] = Field(
        default_factory=list,
        description="More tenants, by id, that have consented to the same application; each is "
        "read as the first is.",
        examples=[["7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"]],
    )
    secret_file: Path | None = Field(
        default=None,
        description=f"File with the client secret; or set {CLIENT_SECRET}. A certificate is "
        "the better choice.",
        examples=["/run/secrets/client-secret"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key; or set "
        f"{CLIENT_KEY_PASSWORD}.",
        examples=["/run/secrets/entra-key-password"],
    )
    device_code: bool = Field(
        default=False,
        description="For a first try: a person signs in with a code that is logged at the start, "
        "and what that person may read is read. A restart asks again.",
    )
    graph_address: Address | None = Field(
        default=None,
        description="Address of Microsoft Graph, where cloud names none that fits.",
        examples=["https://graph.microsoft.us"],
    )
    activity_address: Address | None = Field(
        default=None,
        description="Address of the Management Activity API, where cloud names none that fits.",
        examples=["https://manage.office365.us"],
    )

    secret_variable: ClassVar[str] = CLIENT_SECRET
    key_password_variable: ClassVar[str] = CLIENT_KEY_PASSWORD
    section: ClassVar[str] = "microsoft"

    @property
    def ways(self) -> dict[str, object]:
        """Ways to sign in, and whether each is configured."""
        return {**super().ways, "device_code": self.device_code}

    def check_tenants(self) -> None:
        """See that whose logs are read is told as the records tell it.

        Raises:
            ValueError: no tenant is named, or one by a domain.
        """
        if not self.every_tenant:
            raise ValueError("microsoft.tenant is missing: name whose logs to read")
        domains = [t for t in self.every_tenant if not _GUID.fullmatch(t)]
        if domains:
            raise ValueError(
                f"microsoft.tenant must be the tenant's id where its logs are read, as records "
                f"name it by that; {domains[0]!r} is a domain ('outrider setup' tells how to find "
                "the id)"
            )

    @property
    def where(self) -> Cloud:
        """The addresses of the cloud."""
        return CLOUDS[self.cloud]

    @property
    def login(self) -> str:
        """Address of the sign-in service."""
        return self.authority or self.where.login

    @property
    def graph(self) -> str:
        """Address of Microsoft Graph."""
        return self.graph_address or self.where.graph

    @property
    def activity(self) -> str | None:
        """Address of the Management Activity API, None where there is none."""
        return self.activity_address or self.where.activity

    @property
    def every_tenant(self) -> list[str]:
        """All tenants to read, the first one first."""
        first = [] if self.tenant is None else [self.tenant]
        return list(dict.fromkeys([*first, *self.tenants]))

"""The sections of the configuration that tell who may see, and do, what with outrider serve."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time
from typing import Annotated, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from connectors.auth import AUTHORITIES
from pipeline.runtime.config_entra import Credential
from pipeline.runtime.config_section import Section
from pipeline.runtime.secret_files import SIGN_IN_KEY_PASSWORD, SIGN_IN_SECRET


def _origin(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise ValueError("must be https://HOST or https://HOST:PORT")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("must be https://HOST or https://HOST:PORT, without a path")
    return f"{parts.scheme}://{parts.netloc}".lower()


class Oidc(Credential):
    """Sign-in of people through Entra (OpenID Connect), for browsers."""

    cloud: Literal["public", "us_government", "china"] = Field(
        default="public",
        description="Which Microsoft cloud: us_government is GCC High and DoD (GCC is public), "
        "china is the one that 21Vianet runs.",
    )
    secret_file: Path | None = Field(
        default=None,
        description=f"File with the client secret; or set {SIGN_IN_SECRET}.",
        examples=["/run/secrets/sign-in-secret"],
    )
    certificate_key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key; or set "
        f"{SIGN_IN_KEY_PASSWORD}.",
        examples=["/run/secrets/sign-in-key-password"],
    )
    allowed_groups: list[str] = Field(
        default=[],
        description="Object ids of the groups whose members may sign in; the application's tokens "
        "have to carry the groups claim.",
        examples=[["0f3c2a1e-0000-4000-8000-1b2c3d4e5f60"]],
    )
    allowed_roles: list[str] = Field(
        default=[],
        description="Application roles whose holders may sign in.",
        examples=[["Outrider.Read"]],
    )
    allow_whole_tenant: bool = Field(
        default=False,
        description="Let in whoever the tenant lets sign in to the application: for one that "
        "requires assignment.",
    )

    secret_variable: ClassVar[str] = SIGN_IN_SECRET
    key_password_variable: ClassVar[str] = SIGN_IN_KEY_PASSWORD
    section: ClassVar[str] = "serve.oidc"

    @property
    def login(self) -> str:
        """Address of the sign-in service."""
        return self.authority or AUTHORITIES[self.cloud]

    @property
    def configured(self) -> bool:
        """Whether people sign in this way."""
        return self.client_id is not None

    def check(self, section: str) -> None:
        """See that the keys tell one way to sign in, and who may; raises the same."""
        super().check(section)
        if self.managed_identity:
            raise ValueError(
                f"{section}.managed_identity signs nobody in; name a secret or a certificate"
            )
        named = [bool(self.allowed_groups), bool(self.allowed_roles), self.allow_whole_tenant]
        if not any(named):
            raise ValueError(
                f"{section}: name who may sign in: allowed_groups, allowed_roles, or "
                "allow_whole_tenant = true"
            )
        if self.allow_whole_tenant and (self.allowed_groups or self.allowed_roles):
            raise ValueError(
                f"{section}: allow_whole_tenant lets in everybody, and allowed_groups or "
                "allowed_roles only some; keep one"
            )


class Serve(Section):
    """Who may read what outrider serve offers, and how."""

    token_file: Path | None = Field(
        default=None,
        description="File with the token (16 characters or more) that readers send as "
        "'Authorization: Bearer TOKEN', or type into the sign-in page; needed where others than "
        "this machine can connect.",
        examples=["/run/secrets/outrider-serve-token"],
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Serve others than this machine without a token: only behind something "
        "that lets the right people in.",
    )
    url: Annotated[str, AfterValidator(_origin)] | None = Field(
        default=None,
        description="Address that browsers know this server by; needed for serve.oidc, and "
        "behind a proxy that speaks TLS. With https, cookies are sent over TLS only.",
        examples=["https://outrider.example.net"],
    )
    write: bool = Field(
        default=False,
        description="Let people acknowledge and silence incidents in the pages.",
    )
    session_hours: int = Field(
        default=12,
        ge=1,
        le=168,
        description="How long a browser stays signed in, in hours.",
    )
    session_key_file: Path | None = Field(
        default=None,
        description="File with a secret (16 characters or more) that signs the cookies of "
        "browsers; needed where several servers stand behind one address. Without it the token "
        "does; with neither, a restart signs everybody out.",
        examples=["/run/secrets/outrider-session-key"],
    )
    certificate_file: Path | None = Field(
        default=None,
        description="Certificate of this server, PEM, with those that lead to its authority: it "
        "then speaks HTTPS only.",
        examples=["/etc/outrider/serve.pem"],
    )
    key_file: Path | None = Field(
        default=None,
        description="That certificate's private key, PEM.",
        examples=["/run/secrets/serve.key"],
    )
    key_password_file: Path | None = Field(
        default=None,
        description="File with the password of an encrypted private key.",
        examples=["/run/secrets/serve-key-password"],
    )
    oidc: Oidc = Field(default_factory=Oidc)

    @property
    def secret_files(self) -> list[Path | None]:
        """Files that nobody else should be able to read."""
        own = [self.token_file, self.session_key_file, self.key_file, self.key_password_file]
        return [*own, *self.oidc.secret_files]

    @model_validator(mode="after")
    def _one_rule(self) -> Serve:
        """See that the keys do not contradict each other."""
        if self.allow_anonymous and self.token_file is not None:
            raise ValueError("serve.token_file asks for a token and serve.allow_anonymous does not")
        if self.allow_anonymous and self.write:
            raise ValueError(
                "serve.write needs people who sign in, and serve.allow_anonymous lets in anybody"
            )
        if (self.certificate_file is None) is not (self.key_file is None):
            raise ValueError("serve.certificate_file and serve.key_file go together; name both")
        if self.oidc != Oidc():
            self._check_oidc()
        return self

    def _check_oidc(self) -> None:
        self.oidc.check("serve.oidc")
        if self.allow_anonymous:
            raise ValueError("serve.oidc signs people in and serve.allow_anonymous asks nobody")
        if self.url is None:
            raise ValueError("serve.url is missing: serve.oidc sends people back to it")

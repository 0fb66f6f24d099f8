"""What refusals of Azure Storage mean, and what to do about each.

The codes are those of Microsoft's references "Common REST API error codes", "Blob service error
codes" and "Shared access signature error codes".
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import AuthError, FatalError, OutriderError, RetriableError

if TYPE_CHECKING:
    from connectors.http.answers import RefusedError

_AGAIN_SECONDS: Final = 30.0
_ROLE: Final = "Storage Blob Data Reader"
_NETWORK: Final = (
    "its network rules do not let this machine in; allow its address under Networking of the "
    "account, or go through a private endpoint"
)
_NO_ROLE: Final = (
    f"the application may not read blobs; assign it the role '{_ROLE}' at the account (a new "
    "assignment takes up to 10 minutes)"
)
_NO_RIGHT: Final = (
    "the shared access signature does not allow this; make one with the permissions Read and List "
    "for containers and objects of the service Blob"
)
_STRANGE: Final = (
    "does not take our token; check that the account is in the cloud of 'microsoft.cloud' and in a "
    "subscription of the tenant that we sign in at, and this machine's clock"
)
_SIGNATURE: Final = (
    "does not take the shared access signature; the account's key was renewed since, or it is for "
    "another container (one of a container is good for that one alone)"
)
_OTHER_ADDRESS: Final = (
    "the shared access signature is for other addresses than this machine's; make one without "
    "them, or with it"
)
_SENT_NOTHING: Final = (
    "takes nobody who does not sign in; name a file with a shared access signature, or have the "
    "identity of [microsoft] sign in"
)
# Code to words, for a token and for a signature.
_REFUSED: Final = {
    "AuthorizationFailure": (_NETWORK, _NETWORK),
    "AuthorizationPermissionMismatch": (_NO_ROLE, _NO_RIGHT),
    "InsufficientAccountPermissions": (_NO_ROLE, _NO_RIGHT),
    "AuthorizationServiceMismatch": (_NO_RIGHT, _NO_RIGHT),
    "AuthorizationResourceTypeMismatch": (_NO_RIGHT, _NO_RIGHT),
    "AuthenticationFailed": (_STRANGE, _SIGNATURE),
    "InvalidAuthenticationInfo": (_STRANGE, _SIGNATURE),
    "NoAuthenticationInformation": (_SENT_NOTHING, _SENT_NOTHING),
    "PublicAccessNotPermitted": (_SENT_NOTHING, _SENT_NOTHING),
    "AuthorizationSourceIPMismatch": (_NETWORK, _OTHER_ADDRESS),
    "AuthorizationProtocolMismatch": (
        _NO_RIGHT,
        "the shared access signature is not for HTTPS; make one that is",
    ),
    "KeyBasedAuthenticationNotPermitted": (
        _NO_RIGHT,
        "takes no signatures made with its key; have the identity of [microsoft] sign in instead",
    ),
    "AccountIsDisabled": (
        "is disabled; look after its subscription",
        "is disabled; look after its subscription",
    ),
}


def explained(
    refused: RefusedError, where: str, container: str, *, by_signature: bool
) -> OutriderError:
    """What to raise for a refusal.

    Args:
        refused: by the service.
        where: the account, for messages.
        container: that was asked for.
        by_signature: whether a shared access signature went with it, and not a token.
    """
    words = _REFUSED.get(refused.code)
    if words is not None:
        return AuthError(f"{where}: {words[by_signature]}")
    told = f"HTTP {refused.status}" + (f", {refused.code}" if refused.code else "")
    if refused.code == "ContainerNotFound":
        return FatalError(
            f"{where}: has no container {container}; a diagnostic setting makes one with the first "
            "record of its category: check the setting and the name, or leave it out"
        )
    if refused.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        remedy = _NO_RIGHT if by_signature else _NO_ROLE
        return AuthError(f"{where}: refused container {container} ({told}): {remedy}")
    if refused.status == HTTPStatus.CONFLICT:
        return RetriableError(
            f"{where}: container {container} is being changed ({told})", retry_after=_AGAIN_SECONDS
        )
    if refused.status in range(300, 400):
        return RetriableError(
            f"{where}: answers with another address ({told}); is there a proxy in between?",
            retry_after=_AGAIN_SECONDS,
        )
    return FatalError(
        f"{where}: refused container {container} ({told}); check the name and the address of the "
        "account"
    )

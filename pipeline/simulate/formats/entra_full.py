"""What a full sign-in record carries besides: policies, protocol details, risk; 2 KB."""

from __future__ import annotations

import json
from typing import Any, Final


def text(value: Any) -> str:
    """``value`` as compact JSON."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def inner(value: dict[str, Any]) -> str:
    """The members of an object without its braces, with a comma after the last."""
    return text(value)[1:-1] + "," if value else ""


_POLICIES: Final = [
    {
        "id": f"{i:08x}-1f0c-4d6b-9a1e-7b2f4c5d6e70",
        "displayName": f"CA{i:03d} {what}",
        "enforcedGrantControls": controls,
        "enforcedSessionControls": [],
        "result": result,
        "conditionsSatisfied": "application,users",
        "conditionsNotSatisfied": "none" if result == "success" else "devicePlatform",
    }
    for i, (what, controls, result) in enumerate(
        (
            ("Require multifactor authentication for administrators", ["Mfa"], "notApplied"),
            ("Require compliant or hybrid joined device", ["RequireCompliantDevice"], "success"),
            ("Block legacy authentication", ["Block"], "notApplied"),
            ("Require approved client app on mobile", ["RequireApprovedApp"], "notApplied"),
        ),
        start=1,
    )
]
FULL_TAIL: Final = inner(
    {
        "appliedConditionalAccessPolicies": _POLICIES,
        "authenticationDetails": [
            {
                "authenticationStepDateTime": None,
                "authenticationMethod": "Previously satisfied",
                "succeeded": True,
                "authenticationStepResultDetail": "First factor requirement satisfied by claim in "
                "the token",
                "authenticationStepRequirement": "Primary authentication",
            },
            {
                "authenticationStepDateTime": None,
                "authenticationMethod": "Previously satisfied",
                "succeeded": True,
                "authenticationStepResultDetail": "MFA requirement satisfied by claim in the token",
                "authenticationStepRequirement": "Secondary authentication",
            },
        ],
        "authenticationProcessingDetails": [
            {"key": "Legacy TLS (TLS 1.0, 1.1, 3DES)", "value": "False"},
            {"key": "Oauth Scope Info", "value": '["EWS.AccessAsUser.All","Mail.ReadWrite"]'},
            {"key": "Is CAE Token", "value": "True"},
        ],
        "authenticationRequirement": "multiFactorAuthentication",
        "authenticationRequirementPolicies": [
            {"requirementProvider": "multiConditionalAccess", "detail": "Conditional Access"}
        ],
        "authenticationProtocol": "none",
        "incomingTokenType": "primaryRefreshToken",
        "tokenIssuerName": "",
        "tokenIssuerType": "AzureAD",
        "networkLocationDetails": [
            {"networkType": "trustedNamedLocation", "networkNames": ["Offices"]}
        ],
        "riskDetail": "none",
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "riskEventTypes": [],
        "riskEventTypes_v2": [],
        "servicePrincipalId": "",
        "flaggedForReview": False,
        "isTenantRestricted": False,
        "privateLinkDetails": {},
        "ssoExtensionVersion": "",
        "uniqueTokenIdentifier": "MjkwZmFmZmEtNDc3Yi00YjI4LWFlOTItNTc5ZGFhZTdiMDAw",
        "sessionLifetimePolicies": [
            {"expirationRequirement": "signInFrequencyPeriodicReauthentication", "detail": "72 h"}
        ],
        "appServicePrincipalId": None,
        "globalSecureAccessIpAddress": "",
        "originalTransferMethod": "none",
    }
)

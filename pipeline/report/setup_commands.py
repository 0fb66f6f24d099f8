"""The commands of ``outrider setup``: an application with least rights, for a person to run.

Written for the Azure CLI (``az``) in a POSIX shell. Nothing here is run by this program.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Final

from connectors.clouds import CLOUDS
from pipeline.report.setup_wish import configuration
from pipeline.runtime.checking.permissions import ACTIVITY_ID, AZURE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from connectors.clouds import CloudName
    from pipeline.report.setup_wish import Wish
    from pipeline.runtime.checking.permissions import Permission

# Names that 'az cloud list' shows; GCC is in the public one.
_AZ_CLOUDS: Final[Mapping[CloudName, str]] = {
    "public": "AzureCloud",
    "gcc": "AzureCloud",
    "gcc_high": "AzureUSGovernment",
    "dod": "AzureUSGovernment",
    "china": "AzureChinaCloud",
}
# The ids of the roles were read for the public cloud.
_KNOWN_IDS: Final = frozenset({"public", "gcc"})
_WIDTH: Final = 78
_WHY: Final[Mapping[str, str]] = {
    "certificate": "A certificate: its key stays on this machine, and nothing can be copied off "
    "a screen. Make a new one before it ends; 'outrider check' warns 30 days ahead.",
    "secret": "A client secret. A certificate is the better choice: a secret travels, and is "
    "forgotten until the day it expires.",
    "federated": "Trust in tokens of another issuer, such as a Kubernetes cluster: no secret at "
    "all. Write its issuer, and the account that runs Outrider.",
    "managed_identity": "A machine of Azure has an identity of its own: no secret at all. Write "
    "its principal id (az vm show --query identity.principalId, or of its user-assigned one).",
}


def commands(wish: Wish) -> str:
    """The whole script, with the configuration at its end."""
    blocks = [_block(_title(wish), _settings(wish))]
    if wish.signs_in:
        blocks += [_block(*step) for step in _steps(wish)]
    blocks.append(
        _block(
            "The configuration. Then: outrider check --config outrider.toml",
            ["cat > outrider.toml <<END", *configuration(wish), "END"],
        )
    )
    return "\n\n".join(blocks)


_WHO: Final = (
    "Sign in with an account that may register applications and consent for everybody "
    "(Privileged Role Administrator). The last line tells the tenant's id."
)
_RIGHTS: Final = "Permissions: what the sources read, and no more."
_CONSENT: Final = (
    "Consent. New permissions may take a minute to be known: wait, and run this line again. Or "
    "let an administrator open the address that the second line prints."
)


def _steps(wish: Wish) -> Iterator[tuple[str, list[str]]]:
    yield _WHO, _sign_in(wish)
    if wish.credential == "managed_identity":
        yield _WHY["managed_identity"], ["PRINCIPAL=00000000-0000-0000-0000-000000000000"]
        yield _RIGHTS, _assigned(wish)
    else:
        yield "The application, known in this tenant alone.", _application()
        yield _RIGHTS, _requested(wish)
        yield (
            _CONSENT,
            [
                'az ad app permission admin-consent --id "$APP" ||',
                f'  echo "{CLOUDS[wish.cloud].login}/$TENANT/adminconsent?client_id=$APP"',
            ],
        )
        yield _WHY[wish.credential], _credential(wish)
    for source, role in AZURE.items():
        if source in wish.sources:
            yield _azure(wish, source, role)


def _title(wish: Wish) -> str:
    return (
        f"Outrider: sets up {', '.join(wish.sources)} in the cloud {wish.cloud!r}. Read it, "
        "change what is to be changed, and run it in a shell with the Azure CLI (az)."
    )


def _settings(wish: Wish) -> list[str]:
    lines = ["set -eu"]
    if wish.signs_in and wish.credential != "managed_identity":
        lines.append(f"NAME={wish.name}")
    if "event_hubs" in wish.sources:
        lines.append("NAMESPACE=contoso-logs   # of Event Hubs, tier Standard or higher")
    if "blobs" in wish.sources:
        lines.append("ACCOUNT=contosologs      # storage account")
    return lines


def _sign_in(wish: Wish) -> list[str]:
    where = f" --tenant {wish.tenant}" if wish.tenant else ""
    # Role assignments need a subscription, everything else does without.
    bare = "" if set(AZURE) & set(wish.sources) else " --allow-no-subscriptions"
    return [
        f"az cloud set --name {_AZ_CLOUDS[wish.cloud]}",
        f"az login{where}{bare}",
        "TENANT=$(az account show --query tenantId --output tsv)",
        'echo "tenant: $TENANT"',
    ]


def _application() -> list[str]:
    return [
        'APP=$(az ad app create --display-name "$NAME" \\',
        "  --sign-in-audience AzureADMyOrg --query appId --output tsv)",
        'az ad sp create --id "$APP"',
    ]


def _known(permissions: Sequence[Permission]) -> list[str]:
    """Office 365 Management APIs are unknown to a tenant that never used them."""
    if not any(p.resource == ACTIVITY_ID for p in permissions):
        return []
    return [
        f"az ad sp show --id {ACTIVITY_ID} > /dev/null 2>&1 ||",
        f"  az ad sp create --id {ACTIVITY_ID}",
    ]


def _role(wish: Wish, permission: Permission) -> tuple[list[str], str]:
    """Lines that find the id of a role, and how to write the id then."""
    if wish.cloud in _KNOWN_IDS:
        return [], permission.role_id
    asked = f"appRoles[?value=='{permission.name}'].id | [0]"
    return [
        f"ROLE=$(az ad sp show --id {permission.resource} \\",
        f'  --query "{asked}" --output tsv)',
        'test -n "$ROLE"',
    ], "$ROLE"


def _requested(wish: Wish) -> list[str]:
    lines = _known(wish.permissions)
    for permission in wish.permissions:
        found, role = _role(wish, permission)
        lines += [
            *_comment(_purpose(permission)),
            *found,
            f'az ad app permission add --id "$APP" --api {permission.resource} \\',
            f'  --api-permissions "{role}=Role"',
        ]
    return lines


def _assigned(wish: Wish) -> list[str]:
    lines = _known(wish.permissions)
    url = f"{CLOUDS[wish.cloud].graph}/v1.0/servicePrincipals/$PRINCIPAL/appRoleAssignments"
    for permission in wish.permissions:
        found, role = _role(wish, permission)
        members = {"principalId": "$PRINCIPAL", "resourceId": "$API", "appRoleId": role}
        body = "{" + ", ".join(_quoted(k, v) for k, v in members.items()) + "}"
        lines += [
            *_comment(_purpose(permission)),
            *found,
            f"API=$(az ad sp show --id {permission.resource} --query id --output tsv)",
            f"az rest --method POST --resource {CLOUDS[wish.cloud].graph} \\",
            f'  --url "{url}" \\',
            f'  --body "{body}"',
        ]
    return lines


def _purpose(permission: Permission) -> str:
    return f"{permission.name} of {permission.api}: {permission.why}"


def _credential(wish: Wish) -> list[str]:
    if wish.credential == "certificate":
        return [
            "( umask 077; openssl req -x509 -newkey rsa:3072 -sha256 -days 365 -nodes \\",
            '  -subj "/CN=$NAME" -keyout outrider.key -out outrider.pem )',
            'az ad app credential reset --id "$APP" --append --cert @outrider.pem',
        ]
    if wish.credential == "secret":
        return [
            '( umask 077; az ad app credential reset --id "$APP" --append --years 1 \\',
            "  --query password --output tsv > client-secret )",
        ]
    told = ", ".join(
        [
            _quoted("name", "outrider"),
            _quoted("issuer", "$ISSUER"),
            _quoted("subject", "$SUBJECT"),
            '\\"audiences\\": [\\"api://AzureADTokenExchange\\"]',
        ]
    )
    return [
        "ISSUER=https://issuer.example.net/",
        "SUBJECT=system:serviceaccount:outrider:outrider",
        'az ad app federated-credential create --id "$APP" \\',
        f'  --parameters "{{{told}}}"',
    ]


def _quoted(name: str, value: str) -> str:
    """A member of a JSON object that stands in double quotes of the shell."""
    return f'\\"{name}\\": \\"{value}\\"'


_PLACES: Final = {
    "event_hubs": ("Reading Event Hubs.", "az eventhubs namespace list", "$NAMESPACE"),
    "blobs": ("Reading the storage account.", "az storage account list", "$ACCOUNT"),
}
_DIAGNOSTICS: Final = (
    "The logs get there by a diagnostic setting: Entra admin centre, Diagnostic settings, "
    "categories SignInLogs, NonInteractiveUserSignInLogs, AuditLogs."
)


def _azure(wish: Wish, source: str, role: str) -> tuple[str, list[str]]:
    who = '"$PRINCIPAL"' if wish.credential == "managed_identity" else '"$APP"'
    text, listed, name = _PLACES[source]
    return (
        f"{text} {_DIAGNOSTICS}",
        [
            f"PLACE=$({listed} \\",
            f"  --query \"[?name=='{name}'].id | [0]\" --output tsv)",
            'test -n "$PLACE"',
            f"az role assignment create --assignee {who} \\",
            f'  --role "{role}" --scope "$PLACE"',
        ],
    )


def _block(title: str, lines: Sequence[str]) -> str:
    return "\n".join([*_comment(title), *lines])


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )

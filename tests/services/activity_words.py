"""The errors of the Management Activity API, as it sends them."""

from __future__ import annotations

from tests.services.entra import TENANT
from tests.services.server import Reply

_HTTP = {"AF10001": 401, "AF50000": 500, "AF20050": 404}
# As the service sends them, with what was sent quoted in them.
WORDS = {
    "AF10001": "The permission set ({tenant}) sent in the request did not include the expected "
    "permission ActivityFeed.Read.",
    "AF20001": "Missing parameter: contentType.",
    "AF20002": "Invalid parameter type: PublisherIdentifier. Expected type: guid",
    "AF20003": "Expiration 2015-01-01 provided is set to past date and time.",
    "AF20010": "The tenant ID passed in the URL ({tenant}) does not match the tenant ID passed in "
    "the access token ({tenant}).",
    "AF20011": "Specified tenant ID ({tenant}) does not exist in the system or has been deleted.",
    "AF20012": "Specified tenant ID ({tenant}) is incorrectly configured in the system.",
    "AF20013": "The tenant ID passed in the URL ({tenant}) is not a valid GUID.",
    "AF20020": "The specified content type is not valid.",
    "AF20021": "The webhook endpoint {{https://hook.contoso.example) could not be validated.",
    "AF20022": "No subscription found for the specified content type.",
    "AF20023": "The subscription was disabled by a tenant admin.",
    "AF20024": "The subscription is already enabled. No property change.",
    "AF20030": "Start time and end time must both be specified (or both omitted) and must be less "
    "than or equal to 24 hours apart, with the start time no more than 7 days in the past.",
    "AF20055": "Start time and end time must both be specified (or both omitted) and must be less "
    "than or equal to 24 hours apart, with the start time no more than 7 days in the past.",
    "AF20031": "Invalid nextPage Input: {page}.",
    "AF20050": "The specified content ({page}) does not exist.",
    "AF20051": "Content requested with the key {page} has already expired. Content older than 7 "
    "days cannot be retrieved.",
    "AF20052": "Content ID {page} in the URL is invalid.",
    "AF20053": "Only one language may be present in the Accept-Language header.",
    "AF20054": "Invalid syntax in Accept-Language header.",
    "AF50000": "An internal error occurred. Retry the request.",
}


def error(code, page="", status=None):
    words = WORDS.get(code, "No.").replace("{tenant}", TENANT).replace("{page}", page)
    return Reply(status or _HTTP.get(code, 400), {"error": {"code": code, "message": words}})


def without_audit_log(kind):
    """What a tenant gets that never turned its audit log on: no code, but a stack trace."""
    code = f"StartSubscription [TenantId={TENANT},ContentType={kind}] failed. Exception"
    message = (
        f"Microsoft.Office.Compliance.Audit.DataServiceException: Tenant {TENANT} does not exist."
        "\r\n   at Microsoft.Office.Compliance.Audit.API.AzureManager.GetClientForTenant()"
    )
    return Reply(400, {"error": {"code": code, "message": message}})

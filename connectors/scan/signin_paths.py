"""The wanted fields of a sign-in, and where they stand in its two shapes."""

from __future__ import annotations

from typing import Final

# Numbers of the wanted fields; the first eight, in this order, tell the client and service.
APP_ID: Final = 0
RESOURCE_ID: Final = 1
CLIENT_APP: Final = 2
SYSTEM: Final = 3
BROWSER: Final = 4
AGENT: Final = 5
APP_NAME: Final = 6
RESOURCE_NAME: Final = 7
HOME: Final = 8
REACHED: Final = 9
USER_TYPE: Final = 10
COUNTRY: Final = 11
ID: Final = 12
CREATED: Final = 13
USER: Final = 14
CODE: Final = 15
INTERACTIVE: Final = 16
NETWORK: Final = 17
ADDRESS: Final = 18
LATENCY: Final = 19
PRINCIPAL: Final = 20
CATEGORY: Final = 21
TENANT: Final = 22
TIME: Final = 23
PLACE: Final = 24
EVENT_TYPES: Final = 25
FIELDS: Final = 26

FLAT: Final = {
    "appId": APP_ID,
    "resourceId": RESOURCE_ID,
    "clientAppUsed": CLIENT_APP,
    "deviceDetail.operatingSystem": SYSTEM,
    "deviceDetail.browser": BROWSER,
    "userAgent": AGENT,
    "appDisplayName": APP_NAME,
    "resourceDisplayName": RESOURCE_NAME,
    "homeTenantId": HOME,
    "resourceTenantId": REACHED,
    "userType": USER_TYPE,
    "location.countryOrRegion": COUNTRY,
    "id": ID,
    "createdDateTime": CREATED,
    "userId": USER,
    "status.errorCode": CODE,
    "isInteractive": INTERACTIVE,
    "autonomousSystemNumber": NETWORK,
    "ipAddress": ADDRESS,
    "processingTimeInMilliseconds": LATENCY,
    "servicePrincipalId": PRINCIPAL,
    "signInEventTypes": EVENT_TYPES,
}
# What Azure Monitor wraps around the same record.
ENVELOPE: Final = {
    **{f"properties.{path}": field for path, field in FLAT.items()},
    "category": CATEGORY,
    "tenantId": TENANT,
    "time": TIME,
    "location": PLACE,
}

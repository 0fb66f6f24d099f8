"""Telling what a record is, and its fields, whatever form carried it here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from connectors.normalise.audit import AuditFields
from connectors.normalise.directory import DirectoryFields
from connectors.normalise.folding import first, flag, folded, nested, parsed, text
from connectors.normalise.problems import NoEvidenceError, UnusableError
from connectors.normalise.signin_fields import SigninFields
from pipeline.model.reject import RejectReason

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Keys under which a page, a message or a query result holds its records.
CONTAINERS: Final = ("records", "value", "Records", "events", "data")
# Keys under which forwarders and hunting tables put the vendor's record.
_WRAPPERS: Final = (
    "log",
    "event",
    "result",
    "body",
    "message",
    "source",
    "raw",
    "raweventdata",
    "json",
)
_DEEPEST: Final = 4
WRAPPERS: Final = frozenset(_WRAPPERS)
_SIGNIN_MARKS: Final = (
    "appid",
    "applicationid",
    "appdisplayname",
    "application",
    "clientappused",
    "resourcedisplayname",
    "resourceidentity",
    "conditionalaccessstatus",
)


# Folded names of all fields that anything here looks at: tables are read by these columns.
COLUMNS: Final = frozenset(
    [
        "aadtenantid",
        "activity",
        "activitydatetime",
        "activitydisplayname",
        "actorinfostring",
        "actorobjectid",
        "actoruserprincipalname",
        "appdisplayname",
        "appid",
        "application",
        "applicationid",
        "auditdata",
        "auditlogrecordtype",
        "autonomoussystemnumber",
        "browser",
        "calleripaddress",
        "category",
        "clientapp",
        "clientappused",
        "clientinfostring",
        "clientip",
        "clientipaddress",
        "clientversion",
        "conditionalaccess",
        "conditionalaccessstatus",
        "correlationid",
        "country",
        "createddatetime",
        "creationdate",
        "creationtime",
        "date",
        "dateutc",
        "devicedetail",
        "hometenantid",
        "id",
        "identity",
        "initiatedby",
        "ipaddress",
        "isinteractive",
        "lastaccessed",
        "location",
        "locationdetails",
        "loggedbyservice",
        "logontype",
        "mailboxguid",
        "mailboxownerupn",
        "officeid",
        "officeworkload",
        "operatingsystem",
        "operation",
        "operationcount",
        "operationname",
        "operationproperties",
        "operationresult",
        "operations",
        "organizationid",
        "os",
        "processingtimeinmilliseconds",
        "processingtimeinms",
        "latency",
        "properties",
        "raweventdata",
        "recordid",
        "recordtype",
        "requestid",
        "resource",
        "resourcedisplayname",
        "resourceid",
        "resourceidentity",
        "resourcetenantid",
        "result",
        "resultsignature",
        "resultstatus",
        "resulttype",
        "service",
        "serviceprincipalid",
        "serviceprincipalname",
        "signineventtypes",
        "signinerrorcode",
        "sourcesystem",
        "status",
        "tenantid",
        "time",
        "timegenerated",
        "tokentype",
        "uniquetokenidentifier",
        "useragent",
        "userid",
        "userids",
        "username",
        "userprincipalname",
        "usertype",
        "workload",
    ]
)


def unwrapped(value: Any, depth: int = 0) -> Iterator[Any]:
    """The records inside pages, query results, wrappers and strings of JSON."""
    if isinstance(value, list):
        for item in value:
            yield from unwrapped(item, depth)
        return
    inner = _inner(value) if isinstance(value, dict) and depth < _DEEPEST else None
    if inner is None:
        yield value
    else:
        yield from unwrapped(inner, depth + 1)


def _inner(record: dict[str, Any]) -> list[Any] | dict[str, Any] | None:
    for key in CONTAINERS:
        if isinstance(held := record.get(key), list):
            return held
    tables = record.get("tables")
    if isinstance(tables, list):
        return [row for table in tables for row in _table_rows(table)]
    names = folded(record)
    if _is_record(names):
        return None
    for key in _WRAPPERS:
        held = names.get(key)
        if isinstance(held, str) and held.lstrip()[:1] in ("{", "["):
            held = parsed(held)
        if isinstance(held, (dict, list)):
            return held
    return None


def _table_rows(table: Any) -> list[Any]:
    """Rows of a Log Analytics query result: columns named once, values in lists."""
    if not isinstance(table, dict):
        return [table]
    columns, rows = table.get("columns"), table.get("rows")
    if not isinstance(columns, list) or not isinstance(rows, list):
        return [table]
    names = [str(c.get("name")) if isinstance(c, dict) else str(c) for c in columns]
    return [dict(zip(names, r, strict=False)) if isinstance(r, list) else r for r in rows]


def _is_record(names: Mapping[str, Any]) -> bool:
    return (
        "properties" in names
        or _is_audit(names)
        or _is_directory(names)
        or _is_signin(names)
        or _is_advisory(names)
    )


def _is_audit(names: Mapping[str, Any]) -> bool:
    if "auditdata" in names or "mailboxguid" in names:
        return True
    return "operation" in names and (
        "creationtime" in names or "recordtype" in names or "clientinfostring" in names
    )


def _is_directory(names: Mapping[str, Any]) -> bool:
    if "activitydatetime" in names or "activitydisplayname" in names:
        return True
    return "dateutc" in names and "activity" in names


def _is_signin(names: Mapping[str, Any]) -> bool:
    timed = "createddatetime" in names or "requestid" in names or "dateutc" in names
    marks = sum(m in names for m in _SIGNIN_MARKS)
    return marks >= (1 if timed else 3)


def _is_advisory(names: Mapping[str, Any]) -> bool:
    issue = "impactdescription" in names and "startdatetime" in names
    return issue or ("actionrequiredbydatetime" in names and "startdatetime" in names)


def fields_of(record: Any) -> SigninFields | AuditFields | DirectoryFields:
    """The fields of one record.

    Raises:
        UnusableError: it is nothing that is known here.
        NoEvidenceError: it is known, and of a kind that tells nothing of users' access.
    """
    if not isinstance(record, dict):
        raise UnusableError(RejectReason.UNKNOWN_SHAPE, "want a JSON object for each record")
    return fields_of_row(folded(record))


def fields_of_row(names: dict[str, Any]) -> SigninFields | AuditFields | DirectoryFields:
    """The fields of a record whose names are folded already, such as a row of a table.

    Raises:
        UnusableError, NoEvidenceError: as :func:`fields_of`.
    """
    category = (first(names, "category") or "").casefold()
    if "properties" in names and ("category" in names or "operationname" in names):
        return _enveloped(names, category)
    if _is_audit(names):
        return _audit(names)
    if _is_directory(names) or category == "auditlogs":
        return _directory(names, names)
    if _is_signin(names) or category.endswith("signinlogs"):
        return _signin(names, names)
    if _is_advisory(names):
        raise NoEvidenceError("advisory")
    if "contenturi" in names or ("contenttype" in names and "webhook" in names):
        raise NoEvidenceError("activity_api_listing")
    if "error" in names:
        raise UnusableError(
            RejectReason.UNKNOWN_SHAPE,
            "an error answer of the API instead of records; fetch this part again",
        )
    raise UnusableError(
        RejectReason.UNKNOWN_SHAPE,
        "neither a sign-in, a mailbox audit record nor a directory audit record",
    )


def _enveloped(names: dict[str, Any], category: str) -> SigninFields | DirectoryFields:
    inner = nested(names["properties"])
    if category == "auditlogs" or _is_directory(inner):
        return _directory(inner, names)
    return _signin(inner, names)


def _signin(inner: dict[str, Any], outer: dict[str, Any]) -> SigninFields:
    """A sign-in; ``outer`` is its envelope, or itself where it has none."""
    alone = inner is outer
    # In Log Analytics TenantId is the workspace and ResourceId an Azure path.
    analytics = "timegenerated" in outer or "sourcesystem" in outer
    device = nested(inner.get("devicedetail"))
    status = nested(inner.get("status"))
    place = nested(inner.get("location")) or nested(inner.get("locationdetails"))
    azure_path = first(outer, "resourceid") or ""
    tenant = first(outer, "aadtenantid")
    if tenant is None and not alone and not analytics:
        tenant = first(outer, "tenantid") or _path_tenant(azure_path)
    resource = first(inner, "resourceidentity", "resourceid")
    if resource and resource.startswith("/"):
        resource = None
    word = None if status else first(inner, "status")
    return SigninFields(
        id=first(inner, "id", "requestid"),
        created=first(inner, "createddatetime", "dateutc", "date"),
        received=first(outer, "time", "timegenerated"),
        category=first(outer, "category") or _event_type(inner.get("signineventtypes")),
        interactive=flag(inner.get("isinteractive")),
        tenant=tenant,
        home_tenant=first(inner, "hometenantid"),
        resource_tenant=first(inner, "resourcetenantid"),
        user_type=first(inner, "usertype"),
        user_id=first(inner, "userid"),
        user_name=first(inner, "userprincipalname", "username"),
        app_id=first(inner, "appid", "applicationid"),
        app_name=first(inner, "appdisplayname", "application"),
        client_app=first(inner, "clientappused", "clientapp"),
        operating_system=first(device, "operatingsystem") or first(inner, "operatingsystem", "os"),
        browser=first(device, "browser") or first(inner, "browser"),
        user_agent=first(inner, "useragent"),
        resource_id=resource,
        resource_name=first(inner, "resourcedisplayname", "resource"),
        code=first(status, "errorcode")
        or first(inner, "signinerrorcode")
        or first(outer, "resulttype"),
        status=word,
        country=first(place, "countryorregion")
        or first(inner, "country")
        or first(outer, "location"),
        system_number=first(inner, "autonomoussystemnumber"),
        address=first(inner, "ipaddress") or first(outer, "calleripaddress"),
        latency=first(inner, "processingtimeinmilliseconds", "processingtimeinms", "latency"),
        principal=first(inner, "serviceprincipalid", "serviceprincipalname"),
        token=first(inner, "uniquetokenidentifier"),
        correlation=first(inner, "correlationid") or first(outer, "correlationid"),
    )


def _event_type(value: Any) -> str | None:
    """The first of ``signInEventTypes``, a list or a string of JSON."""
    if isinstance(value, str) and value.startswith("["):
        value = parsed(value)
    if isinstance(value, list):
        value = next((v for v in value if isinstance(v, str)), None)
    return value if isinstance(value, str) and value != "unknownFutureValue" else None


def _path_tenant(path: str) -> str | None:
    parts = path.strip("/").split("/")
    return parts[1] if len(parts) > 1 and parts[0].casefold() == "tenants" else None


def _directory(inner: dict[str, Any], outer: dict[str, Any]) -> DirectoryFields:
    alone = inner is outer
    actor = nested(nested(inner.get("initiatedby")).get("user"))
    tenant = first(outer, "aadtenantid")
    if tenant is None and not alone and "timegenerated" not in outer:
        tenant = first(outer, "tenantid")
    return DirectoryFields(
        id=first(inner, "id"),
        created=first(inner, "activitydatetime", "dateutc"),
        received=first(outer, "time", "timegenerated"),
        tenant=tenant,
        activity=first(inner, "activitydisplayname", "activity") or first(outer, "operationname"),
        service=first(inner, "loggedbyservice", "service"),
        category=first(inner, "category"),
        result=first(inner, "result", "status") or first(outer, "resultsignature"),
        user_id=first(actor, "id") or first(inner, "actorobjectid"),
        user_name=first(actor, "userprincipalname") or first(inner, "actoruserprincipalname"),
        correlation=first(inner, "correlationid"),
    )


def _audit(names: dict[str, Any]) -> AuditFields:
    """A mailbox audit record; the whole one inside ``AuditData`` counts before its wrapping."""
    outer: dict[str, Any] = {}
    if "auditdata" in names:
        outer, names = names, nested(names["auditdata"])
        if not names:
            raise UnusableError(
                RejectReason.NOT_JSON, "AuditData: want the record as JSON; it may be cut off"
            )

    def pick(*fields: str) -> str | None:
        return first(names, *fields) or first(outer, *fields)

    properties = names.get("operationproperties")
    if isinstance(properties, str) and properties.startswith("["):
        properties = parsed(properties)
    return AuditFields(
        id=first(names, "id", "officeid") or first(outer, "id", "identity", "recordid"),
        created=first(names, "creationtime", "lastaccessed", "timegenerated")
        or first(outer, "creationdate", "createddatetime"),
        operation=pick("operation", "operations"),
        record_type=pick("recordtype", "auditlogrecordtype"),
        workload=pick("workload", "officeworkload", "service"),
        tenant=pick("organizationid"),
        result=first(names, "resultstatus", "operationresult"),
        client_info=first(names, "clientinfostring"),
        app_id=first(names, "appid"),
        actor_info=first(names, "actorinfostring"),
        token_type=first(names, "tokentype"),
        logon_type=first(names, "logontype"),
        version=first(names, "clientversion"),
        mailbox=first(names, "mailboxguid"),
        mailbox_name=first(names, "mailboxownerupn"),
        user_id=pick("userid", "userids", "userprincipalname"),
        address=first(names, "clientipaddress", "clientip") or first(outer, "clientip"),
        count=text(names.get("operationcount")),
        properties=properties,
    )

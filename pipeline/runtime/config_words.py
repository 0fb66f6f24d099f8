"""What a value should have been, in words: who writes a configuration need not read patterns."""

from __future__ import annotations

import json
from typing import Any, Final

_GUID: Final = "must be a GUID, such as 7b1d0c44-0000-4000-8000-2c9e8f7a6b5c"

WANTED: Final = {
    # deliver.TYPE.NAME, notify.routes.NAME and the like
    r"^[a-z0-9][a-z0-9_-]{0,39}$": "the name may hold a to z, 0 to 9, _ and -, at most 40 of them, "
    "the first no sign",
    # *_variable
    r"^[A-Za-z_][A-Za-z0-9_]*$": "must be the name of a variable of the environment",
    # microsoft.tenant
    r"^[A-Za-z0-9.-]+$": "must be the id of a tenant, or one of its domains",
    # collect
    r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$": _GUID,
    r"^[A-Za-z0-9.-]+(:\d{1,5})?$": "must be the name of a namespace, or its whole host name",
    r"^[A-Za-z0-9$._-]{1,249}$": "must be a name of letters, digits, $, ., _ and -",
    r"^[a-z0-9]{3,24}$": "must be the name of a storage account: 3 to 24 of a to z and 0 to 9",
    r"^https?://\S+$": "must be an address, https://...",
    # kafka
    r"^[A-Za-z0-9_-]+$": "may hold letters, digits, _ and - alone",
    r"^[A-Za-z0-9._-]{1,249}$": "must be the name of a topic: letters, digits, ., _ and -",
    r"/\.default$": "must end with /.default",
    # deliver.slack
    r"^[A-Z0-9]{6,20}$": "must be the id of a channel, such as C024BE91L; its name is none",
    # deliver.servicenow, deliver.elastic
    r"^[^:]+$": "must be the name of a user, without a colon",
    r"^[a-z0-9][a-z0-9_.]{0,99}$": "may hold a to z, 0 to 9, _ and ., the first no sign",
    # deliver.email
    r"^[A-Za-z0-9.:-]+$": "must be the name of a host, or its address",
    # deliver.webhook
    r"^[A-Za-z0-9._-]{1,64}$": "may hold letters, digits, ., _ and - alone, at most 64",
    # deliver.splunk
    r"^[a-z0-9_][a-z0-9_-]*$": "must be the name of an index: a to z, 0 to 9, _ and -",
    # deliver.sentinel
    r"^dcr-[0-9a-f]{32}$": "must be the rule's immutable id: dcr- and 32 of 0 to 9 and a to f",
    r"^Custom-[A-Za-z][A-Za-z0-9_]*$": "must be a stream, such as Custom-OutriderIncident_CL",
    # deliver.syslog
    r"^([^\s\[\]/@:]+|[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)$": "must be the name of a host, or "
    "its address; the port has a key of its own",
    r"^[\x21-\x7e]{1,255}$": "must be the name of a host, without spaces",
}
"""By pattern, as pydantic tells it."""


def as_list(example: Any) -> str:
    """That a list is wanted, with one of a single element if there is an example.

    >>> as_list(["a:1", "b:1"])
    'must be a list: write ["a:1"]'
    >>> as_list(None)
    'must be a list: write [...]'
    """
    shown = json.dumps(example[:1]) if isinstance(example, list) and example else "[...]"
    return f"must be a list: write {shown}"

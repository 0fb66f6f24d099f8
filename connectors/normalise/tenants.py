"""The name that a record's tenant goes by."""

from __future__ import annotations

from connectors.normalise.problems import UnusableError
from pipeline.model.reject import RejectReason
from pipeline.model.tenants import MOST_CHARACTERS, is_tenant


def tenant_name(named: str | None, otherwise: str) -> str:
    """The name without its case, "" where nobody names one.

    Args:
        named: what the record says.
        otherwise: tenant of records that name none.

    Raises:
        UnusableError: no tenant can be called so.
    """
    name = (named or otherwise).casefold()
    if name and not is_tenant(name):
        raise UnusableError(
            RejectReason.BAD_VALUE,
            f"tenant: want an id or a name of at most {MOST_CHARACTERS} characters, none of them "
            "a control character; export again",
        )
    return name

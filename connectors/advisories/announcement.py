"""Advisories that are no issues: what else Microsoft says, in the form of one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.model.advisory import Advisory, Symptom
from pipeline.model.knowledge import assemble

if TYPE_CHECKING:
    from pipeline.model.vocabulary import Service


def announced(
    advisory_id: str, title: str, *, origin: str, service_hint: tuple[Service, ...], **more: Any
) -> Advisory:
    """An advisory of which nothing is known but what is given, read as any other.

    Args:
        advisory_id: content hash, or the id that the service itself uses.
        title: plain.
        origin: where it was said.
        service_hint: services that it is about.
        more: other fields of :class:`~pipeline.model.advisory.Advisory`.
    """
    unknown: dict[str, Any] = {
        "service": "",
        "status": "",
        "is_resolved": False,
        "classification": origin,
        "impact_description": "",
        "posts": (),
        "services": (),
        "clients": (),
        "excluded_clients": (),
        "protocols": (),
        "regions": (),
        "symptom": Symptom.UNKNOWN,
        "is_false_positive": False,
    }
    return assemble(
        Advisory(
            advisory_id=advisory_id,
            title=title,
            origin=origin,
            service_hint=service_hint,
            **{**unknown, **more},
        )
    )

"""Advisories as Microsoft publishes them, and what their text names (``outrider.advisory/1``)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime  # noqa: TC003 # read back at run time by documents.from_json
from enum import StrEnum
from typing import ClassVar

from pipeline.model.vocabulary import Client, Service  # noqa: TC001 # read back at run time


class Symptom(StrEnum):
    """What kind of trouble an advisory speaks of; only ``access`` can match an access outage."""

    ACCESS = "access"
    MAIL_FLOW = "mail_flow"
    FEATURE = "feature"
    FILTERING = "filtering"
    ADMIN = "admin"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Post:
    """One post of an advisory, as plain text."""

    created_at: datetime
    post_type: str
    text: str


@dataclass(frozen=True, slots=True)
class Advisory:
    """One version of one service health issue.

    Names of the service's own fields follow Graph ``serviceHealthIssue`` in snake case;
    the rest is read from the text. ``text_start_at`` is the earliest "Start time:" of the
    posts; ``first_published_at`` the earliest post; ``first_seen_at`` when this program
    first held it (null in a file import).
    """

    SCHEMA: ClassVar[str] = "outrider.advisory/1"

    advisory_id: str
    title: str
    service: str
    status: str
    is_resolved: bool
    classification: str
    impact_description: str
    posts: tuple[Post, ...]
    services: tuple[Service, ...]
    clients: tuple[Client, ...]
    excluded_clients: tuple[Client, ...]
    protocols: tuple[str, ...]
    regions: tuple[str, ...]
    symptom: Symptom
    is_false_positive: bool
    start_at: datetime | None = None
    end_at: datetime | None = None
    last_modified_at: datetime | None = None
    text_start_at: datetime | None = None
    first_published_at: datetime | None = None
    restored_at: datetime | None = None
    first_seen_at: datetime | None = None
    origin: str = "microsoft"
    feature: str = ""
    refers_to: tuple[str, ...] = ()

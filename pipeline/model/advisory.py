"""Advisories as Microsoft publishes them, and what their text names (``outrider.advisory/1``)."""

from __future__ import annotations

from dataclasses import dataclass, field
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
class Reading:
    """What one piece of advisory text names, read once where the text enters.

    It is kept by post, so that a later stage can tell what was known at any moment
    without reading text again.

    Attributes:
        title, impact: the "Title:" and "User impact:" sections, empty where there is none.
        clients: named as affected, with the weight 0..1 of the wording ("Outlook desktop
            client" is classic Outlook at 0.8 and new Outlook at 0.4).
        cause_clients: named by the sections on causes and plans only; they count where no
            text of the advisory names a client as affected.
        excluded_clients: named as not affected or as the way round.
        all_clients: the text says that every way of connecting is affected.
        others_excluded: the text says that all ways it does not name are not affected.
        protocols: in the words of the vocabulary, such as ``IMAP4``.
        regions: ISO 3166 alpha-2 codes, or the group codes of ``pipeline.match.regions``.
        start_at, end_at: of "Start time:" and "End time:".
        restored: the text declares the impact over. false_alarm: the text takes it back.
        refers_to: other advisories' ids.
    """

    title: str = ""
    impact: str = ""
    clients: dict[Client, float] = field(default_factory=dict)
    cause_clients: dict[Client, float] = field(default_factory=dict)
    excluded_clients: tuple[Client, ...] = ()
    all_clients: bool = False
    others_excluded: bool = False
    services: tuple[Service, ...] = ()
    protocols: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    symptom: Symptom = Symptom.UNKNOWN
    start_at: datetime | None = None
    end_at: datetime | None = None
    restored: bool = False
    false_alarm: bool = False
    refers_to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Post:
    """One post of an advisory, as plain text, and what it names."""

    created_at: datetime
    post_type: str
    text: str
    reading: Reading = field(default_factory=Reading)


@dataclass(frozen=True, slots=True)
class Advisory:
    """One version of one service health issue.

    Names of the service's own fields follow Graph ``serviceHealthIssue`` in snake case;
    the rest is read from the text. ``text_start_at`` is the earliest "Start time:" of the
    posts; ``first_published_at`` the earliest post; ``first_seen_at`` when this program
    first held it (null in a file import).

    Attributes:
        clients: those named with a weight of at least one half; none named = ().
        client_weights: every client the wording may mean, 0..1.
        all_clients: every client of the service is said to be affected.
        excluded_clients: said not to be affected, or to be the way round.
        restored_at: when restoration was first declared, by a post or else by the status.
        stated: what the title and the impact description of this version name.
        service_hint: services that the ``service`` field stands for; () = the whole suite.
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
    client_weights: dict[Client, float] = field(default_factory=dict)
    all_clients: bool = False
    stated: Reading = field(default_factory=Reading)
    service_hint: tuple[Service, ...] = ()


class Answer(StrEnum):
    """Are we affected?"""

    YES = "yes"
    NO_SIGN = "no_sign"
    CANNOT_TELL = "cannot_tell"


class Over(StrEnum):
    """Is it over for us?"""

    YES = "yes"
    RECOVERING = "recovering"
    NO = "no"
    NOT_AFFECTED = "not_affected"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class ClientImpact:
    """The answer for one client of one service.

    ``active_users``: a day. ``detectable_effect``: smallest share (0..1) of these users
    whose trouble would have been seen; null = the client is not watched here.
    ``affected_users``: distinct users of the incidents behind a yes, all clients together.
    """

    client: Client
    service: Service
    answer: Answer
    over: Over
    statement: str
    active_users: int = 0
    detectable_effect: float | None = None
    affected_users: int = 0
    over_at: datetime | None = None
    incident_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Impact:
    """What one advisory means for us (``outrider.impact/1``).

    ``affected_users`` is a lower bound: the largest count of any incident behind a yes.
    ``detectable_effect`` of a ``no_sign``: the weakest client's, so a larger effect on any
    of them would have been seen.
    """

    SCHEMA: ClassVar[str] = "outrider.impact/1"

    advisory_id: str
    answer: Answer
    over: Over
    statement: str
    clients: tuple[ClientImpact, ...]
    affected_users: int = 0
    detectable_effect: float | None = None
    declared_restored_at: datetime | None = None
    incident_ids: tuple[str, ...] = ()

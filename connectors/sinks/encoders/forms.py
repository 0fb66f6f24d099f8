"""Every form that files can have, by its name in the configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from connectors.sinks.encoders.cef import CEF
from connectors.sinks.encoders.ecs import ECS
from connectors.sinks.encoders.leef import LEEF
from connectors.sinks.encoders.ocsf import OCSF
from connectors.sinks.encoders.plain import JSON

if TYPE_CHECKING:
    from connectors.sinks.encoders.encoder import Encoder

FORMS: Final[dict[str, Encoder]] = {form.name: form for form in (JSON, OCSF, ECS, CEF, LEEF)}

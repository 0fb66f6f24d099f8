"""The section of the configuration that tells in which form flags and incidents are delivered."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.runtime.config_section import Section


class Deliver(Section):
    """How flags and incidents leave."""

    files_format: Literal["json", "ocsf", "ecs", "cef", "leef"] = Field(
        default="json",
        description="A form that is written beside flags.ndjson and incidents.ndjson, into files "
        "of its own (incidents.ocsf.ndjson, incidents.cef.log and so on); json: no further files.",
    )

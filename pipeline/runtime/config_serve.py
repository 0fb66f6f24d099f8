"""The section of the configuration that tells who may read what ``outrider serve`` offers."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 # pydantic reads the annotation at run time

from pydantic import Field, model_validator

from pipeline.runtime.config_section import Section


class Serve(Section):
    """Who may read what outrider serve offers."""

    token_file: Path | None = Field(
        default=None,
        description="File with the token (16 characters or more) that readers send as "
        "'Authorization: Bearer TOKEN'; needed where others than this machine can connect.",
        examples=["/run/secrets/outrider-serve-token"],
    )
    allow_anonymous: bool = Field(
        default=False,
        description="Serve others than this machine without a token: only behind something "
        "that lets the right people in.",
    )

    @model_validator(mode="after")
    def _one_rule(self) -> Serve:
        """See that the keys do not contradict each other."""
        if self.allow_anonymous and self.token_file is not None:
            raise ValueError("serve.token_file asks for a token and serve.allow_anonymous does not")
        return self

"""What every section of the configuration has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Strict, unchangeable, and silent about the values that it refuses."""

    # hide_input_in_errors: a secret pasted into the wrong place must not come back in a message
    model_config = ConfigDict(
        strict=True, frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True
    )

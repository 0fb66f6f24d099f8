"""What a live run reads, by its configuration: the same for one process and for a collector."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.normalise.settings import NormaliseSettings
from pipeline.model.errors import ConfigError
from pipeline.runtime.arrivals import DEFAULT_TENANT, Arrivals
from pipeline.runtime.keys import privacy_key
from pipeline.window.arrival import DECLARED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from structlog.typing import FilteringBoundLogger

    from pipeline.model.reject import Reject
    from pipeline.runtime.config import Config


def normalising(config: Config, state: Path) -> NormaliseSettings:
    """How records are read; the privacy key is made in ``state`` where none is configured.

    Raises:
        ConfigError: the key cannot be read.
    """
    return NormaliseSettings(
        key=privacy_key(config.privacy, state).get_secret_value(),
        tenant=config.tenant.id or "",
        site_names=dict(config.sites),
    )


class Files:
    """The files of a live run, if it has any.

    Args:
        paths: files, folders or patterns.
        config: of the run.
        settings: of :func:`normalising`.
        state: folder of the run.
        follow: whether files may still be added.
        stop: whether to leave what is not parsed yet for the next start.
        log: of the run.

    Raises:
        ConfigError: there are neither files nor live sources.
    """

    def __init__(
        self,
        paths: Sequence[str],
        config: Config,
        settings: NormaliseSettings,
        state: Path,
        *,
        follow: bool,
        stop: Callable[[], bool],
        log: FilteringBoundLogger,
    ) -> None:
        if not paths and not config.collect.enabled:
            raise ConfigError(
                "nothing to read: name files or folders, or switch on a live source in the "
                "configuration ([collect.graph_signins] enabled = true, say)"
            )
        self._named = config.tenant.id or (config.microsoft.tenant or "").casefold()
        self.sources: dict[str, Arrivals] = {}
        if paths:
            self.sources["files"] = Arrivals(
                paths,
                settings,
                state / ".outrider" / "spool",
                delays={
                    str(s): float(getattr(config.sources, s).declared_delay_seconds)
                    for s in DECLARED
                },
                workers=config.backfill.workers,
                follow=follow,
                stop=stop,
                log=log,
            )

    @property
    def unread(self) -> list[Reject]:
        """Files told in this process that were not read, or not to their end."""
        return [reject for source in self.sources.values() for reject in source.unread]

    def unnamed(self) -> str:
        """Tenant of records that name none."""
        if self._named or not self.sources:
            return self._named or DEFAULT_TENANT
        return self.sources["files"].unnamed

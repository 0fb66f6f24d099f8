"""The services that the configuration names: where each is, and a client that asks it.

The same for a run, which reads them, and for ``outrider check``, which tries them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from connectors.http.client import HttpClient
from connectors.sources.blob_sas import SharedAccess
from connectors.sources.blobs import SCOPE as STORAGE_SCOPE
from connectors.sources.event_hubs_login import KeyLogin, TokenLogin, address_of
from pipeline.model.errors import ConfigError
from pipeline.runtime.secret_files import EVENT_HUBS_CONNECTION, STORAGE_SAS, read_secret

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.http.budget import Budget
    from connectors.http.client import Tokens
    from connectors.sources.event_hubs_login import Address
    from pipeline.model.clock import Clock
    from pipeline.runtime.config import Config

GRAPH: Final = "Microsoft Graph"
ACTIVITY: Final = "Office 365 Management Activity API"
Client = TypeVar("Client", bound=HttpClient)


class Services:
    """Makes clients.

    Args:
        config: checked already.
        clock: tells the time to all of them; None = the machine's.
    """

    def __init__(self, config: Config, clock: Clock | None = None) -> None:
        self._microsoft, self._collect, self._clock = config.microsoft, config.collect, clock

    @property
    def graph_scope(self) -> str:
        """What a token for Microsoft Graph is for, whatever address it is asked at."""
        return f"{self._microsoft.where.graph}/.default"

    @property
    def activity_scope(self) -> str:
        """What a token for the Management Activity API is for."""
        return f"{self._microsoft.where.activity_audience}/.default"

    @property
    def storage_address(self) -> str:
        """Address of the storage account."""
        blobs = self._collect.blobs
        return blobs.address or f"https://{blobs.account}.{self._microsoft.where.storage}"

    @property
    def hubs_ca_file(self) -> Path | None:
        """Authorities to trust for the namespace."""
        return self._collect.event_hubs.ca_file or self._microsoft.ca_file

    def hubs_address(self) -> Address:
        """Where the namespace of Event Hubs is.

        Raises:
            ConfigError: its name is none.
        """
        name = self._collect.event_hubs.namespace or ""
        return address_of(name, self._microsoft.where.event_hubs)

    def graph(self, kind: type[Client], tokens: Tokens, budget: Budget | None = None) -> Client:
        """A client of Microsoft Graph.

        Args:
            kind: of client.
            tokens: who gives tokens.
            budget: shared by all that ask this service.
        """
        where = self._microsoft
        return kind(GRAPH, where.graph, scope=self.graph_scope, **self._shared(tokens, budget))

    def activity(self, kind: type[Client], tokens: Tokens, budget: Budget | None = None) -> Client:
        """A client of the Management Activity API; the arguments are those of :meth:`graph`.

        Raises:
            ConfigError: the cloud offers none.
        """
        where = self._microsoft
        if where.activity is None:
            raise ConfigError(
                f"collect.activity: the cloud {where.cloud!r} offers no Management Activity API; "
                "read the audit log with collect.audit_query instead"
            )
        shared = self._shared(tokens, budget)
        return kind(ACTIVITY, where.activity, scope=self.activity_scope, **shared)

    def storage(self, tokens: Tokens | None) -> HttpClient:
        """A client of the storage account; without tokens it shows the configured signature."""
        signed = None if tokens is not None else SharedAccess(self._signature, self._clock)
        return HttpClient(
            "Azure Storage",
            self.storage_address,
            scope=STORAGE_SCOPE,
            secret=signed,
            **self._shared(tokens, None),
        )

    def hubs_login(self, tokens: Tokens | None) -> KeyLogin | TokenLogin:
        """The way into the namespace; without tokens, by the configured connection string."""
        return KeyLogin(self._connection_string) if tokens is None else TokenLogin(tokens)

    def status_page(self) -> HttpClient:
        """A client of the status page's host."""
        parts = urlsplit(self._collect.status_page.address or "")
        root = f"{parts.scheme}://{parts.netloc}"
        return HttpClient("status page", root, **self._shared(None, None))

    def _shared(self, tokens: Tokens | None, budget: Budget | None) -> dict[str, Any]:
        return {
            "tokens": tokens,
            "budget": budget,
            "ca_file": self._microsoft.ca_file,
            "clock": self._clock,
        }

    def _signature(self) -> str:
        return read_secret(
            self._collect.blobs.sas_file,
            STORAGE_SAS,
            "the shared access signature of the storage account",
            "collect.blobs.sas_file",
        )

    def _connection_string(self) -> str:
        return read_secret(
            self._collect.event_hubs.connection_string_file,
            EVENT_HUBS_CONNECTION,
            "the connection string of Event Hubs",
            "collect.event_hubs.connection_string_file",
        )

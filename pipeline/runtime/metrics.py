"""Counters of a live run, in Prometheus' own words; labels come from closed sets only."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


class Metrics:
    """One registry for each run, so that two runs in one process do not add up."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"outrider_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"outrider_{name}", text, labels, registry=registry)

        self.events = counter("events", "Records taken in.")
        self.messages = counter("messages", "Batches taken in.", "kind")
        self.dead = counter("dead_letters", "What could not be used.", "reason")
        self.misdated = gauge(
            "misdated_events", "Records of the tenants held that are too old or too new.", "why"
        )
        self.unseen = counter(
            "unseen_messages", "Removed from the topic before a worker came, at most."
        )
        self.documents = counter("documents", "Revisions issued.", "kind")
        self.commits = counter("commits", "Steps made durable.")
        self.failures = counter("failures", "Steps undone and tried again.", "error")
        self.sink_failures = counter("sink_failures", "Deliveries refused or put off.", "sink")
        self.delivered = counter("delivered", "Documents a destination has taken.", "sink")
        self.sink_waiting = gauge("sink_waiting", "1 while a destination wants nothing.", "sink")
        self.expired = counter("expired_documents", "Removed before a destination took it.", "sink")
        # Destinations of one process are behind each by itself; roles without any have an empty one.
        self.lag = gauge(
            "lag_messages", "Messages behind the end of the topic.", "sink", "partition"
        )
        self.delay = gauge(
            "watermark_delay_seconds", "How far the time of the worst tenant is behind."
        )
        self.completeness = gauge(
            "completeness", "Least share of a tenant's records of the last hour here.", "source"
        )
        self.source_records = counter("source_records", "Records read from live logs.", "feed")
        self.source_errors = counter(
            "source_errors", "Times that a live source did not answer.", "feed", "error"
        )
        self.source_lag = gauge(
            "source_lag_seconds", "How far the worst tenant's feed is behind.", "feed"
        )
        self.source_missing = gauge(
            "source_missing_seconds", "Time whose records are known to be missing.", "feed"
        )
        self.source_unwell = gauge(
            "source_unwell", "Feeds that fail or are behind, of all tenants.", "feed"
        )
        self.open_flags = gauge("open_flags", "Flags open now.")
        self.open_incidents = gauge("open_incidents", "Incidents not resolved.")
        self.tenants = gauge("tenants", "Tenants held by this process.")
        self.requests = counter("http_requests", "Requests answered.", "route", "status")
        self.answering = Histogram(
            "outrider_http_seconds",
            "Time to answer one request.",
            ["route"],
            buckets=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
            registry=registry,
        )
        self.judging = Histogram(
            "outrider_judging_seconds",
            "Time to judge one tenant once.",
            buckets=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
            registry=registry,
        )

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)

"""Public status pages: the RSS and JSON of status.cloud.microsoft, and the RSS of Azure.

As recorded in public code: ``/api/feed/mac`` has one item with ``status``, whose pubDate is the
time of the request; ``/api/posts/mac`` is one object, ``LastUpdatedTime`` that of the request;
``/api/posts/m365Consumer`` is an array; Azure's feed is empty while nothing is wrong; a path
that the page does not know is answered with HTTP 200 and the page itself.
"""

from __future__ import annotations

from datetime import timedelta
from email.utils import format_datetime
from xml.sax.saxutils import escape

from tests.services.server import Reply, Service

SHELL = b'<!doctype html><html><head><title>Status</title></head><body><div id="root"></div></body></html>'
USUAL = (
    "<div>This site is updated when service issues are preventing tenant administrators from "
    "accessing Service health in the Microsoft 365 admin center.</div>"
)


class Status(Service):
    """``post``: status, message and time of the admin center's post; ``azure``: items."""

    def __init__(self, clock, faults=None):
        super().__init__(clock, faults)
        self.azure = {}
        self.consumer = {"Outlook.com": "Operational", "OneDrive": "Operational"}
        self.say("Available", USUAL)

    def say(self, status, message, title=""):
        self.post = (status, message, title, self.clock.now())

    def address(self, path):
        return f"{self.root}{path}"

    def answer(self, request):
        status, message, title, authored = self.post
        now = self.clock.now()
        if request.path == "/api/feed/mac":
            date = format_datetime(now).replace("+0000", "Z")
            guid = f"{authored:%Y%m%d%H%M%S}-0000-4000-8000-000000000000"
            return rss(
                "Microsoft Admin Center Status",
                f'<item><guid isPermaLink="false">{guid}</guid><title>Microsoft Admin Center</title>'
                f"<description>{escape(message)}</description><pubDate>{date}</pubDate>"
                f"<status>{status}</status></item>",
            )
        if request.path == "/api/posts/mac":
            return Reply(document=self.record(status, message, title, authored))
        if request.path == "/api/posts/m365Consumer":
            never = "0001-01-01T00:00:00+00:00"
            return Reply(
                document=[
                    {
                        **self.record(s, "", "", now),
                        "AuthoredDateTime": never,
                        "ServiceDisplayName": n,
                    }
                    for n, s in self.consumer.items()
                ]
            )
        if request.path == "/en-us/status/feed/":
            items = "".join(
                f"<item><title>{escape(t)}</title><description>{escape(d)}</description>"
                f"<guid>{escape(g)}</guid><pubDate>{format_datetime(at)}</pubDate></item>"
                for g, (t, d, at) in self.azure.items()
            )
            return rss("Azure Status", items)
        return Reply(body=SHELL, headers={"Content-Type": "text/html"})

    def record(self, status, message, title, authored):
        now = self.clock.now()
        return {
            "Id": "972a3801-cef4-49eb-817a-6e8b79ac845a",
            "AuthoredDateTime": authored.isoformat(),
            "InternalDateTime": (now - timedelta(minutes=3)).isoformat(),
            "LastUpdatedTime": now.isoformat(),
            "Title": title,
            "Message": message,
            "Status": status,
        }


def rss(title, items):
    text = (
        '<?xml version="1.0" encoding="utf-8"?><rss xmlns:a10="http://www.w3.org/2005/Atom" '
        f'version="2.0"><channel><title>{title}</title><link>https://status.example/</link>{items}'
        "</channel></rss>"
    )
    return Reply(body=text.encode(), headers={"Content-Type": "application/rss+xml"})

"""A notice as a mail: text and HTML, with names by which mail programs keep a thread together."""

from __future__ import annotations

import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from connectors.sinks.encoders.encoder import key_of, key_text
from pipeline.model.clock import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jinja2 import Template

    from pipeline.model.message import Message

_SUBJECT: Final = 200
# White text on each has a contrast of at least 4.5.
_COLOURS: Final = {"critical": "#a4001d", "high": "#b3470a", "medium": "#7a5c00", "low": "#1f5fa8"}
_OVER: Final = "#1b6e3c"
_URGENT: Final = frozenset({"critical", "high"})


def mail(
    notice: Mapping[str, Any], message: Message, *, sender: str, recipients: Sequence[str]
) -> EmailMessage:
    """The mail; the same notice gives the same bytes, so a repetition can be told.

    Args:
        notice: ``outrider.notice/1``.
        message: the same in words.
        sender: its address.
        recipients: their addresses.
    """
    name, revision = key_of(notice)
    domain = sender.rpartition("@")[2]
    thread = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    made = EmailMessage(policy=SMTP)
    # A header takes no line end, whatever the title holds; it is one line already.
    made["Subject"] = message.title[:_SUBJECT]
    made["From"] = Address("Outrider", addr_spec=sender)
    made["To"] = [Address(addr_spec=r) for r in recipients]
    made["Date"] = format_datetime(parse_rfc3339(notice["at"]))
    made["Message-ID"] = f"<{thread}.{revision}@{domain}>"
    # All answer a mail that nobody sent: whichever comes first, they stand together.
    made["In-Reply-To"] = made["References"] = f"<{thread}@{domain}>"
    made["Thread-Topic"] = f"Outrider {thread[:12]}"
    made["Outrider-Key"] = key_text(name, revision)
    # No out-of-office answers, please (RFC 3834, and the same for Exchange).
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    if message.severity in _URGENT and not message.over:
        made["Importance"] = "high"
        made["X-Priority"] = "1"
    made.set_content(_plain(message.text()), cte="quoted-printable")
    made.add_alternative(html(message), subtype="html", cte="quoted-printable")
    made.set_boundary(f"=_{thread}.{revision}")
    return made


def html(message: Message) -> str:
    """The message as HTML that loads nothing and runs nothing."""
    return _template().render(
        message=message,
        colour=_OVER if message.over else _COLOURS.get(message.severity, "#444444"),
        lists=(
            ("", message.incidents),
            ("For this verdict", message.evidence_for),
            ("Against this verdict", message.evidence_against),
        ),
    )


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("connectors.sinks", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("notice.html")

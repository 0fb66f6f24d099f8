"""Advisory text: plain text from HTML, sections, sentences, times and ids.

Form of the text: ``posts[].description.content`` of Graph ``serviceHealthIssue``. The
keywords stand with blank lines, HTML or nothing between them ("...Microsoft FormsUser
Impact: ..." in FM298724), so sections are cut at the keywords and never at lines.
"""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Final

# UTF-8 bytes read as code page 850 ("AdminsÔÇÖ" in EX415080) or as Windows-1252. Mended
# before NFKC, which would turn the trade mark sign of the second kind into "TM".
_MOJIBAKE: Final[dict[str, str]] = {
    "\u00d4\u00c7\u00d6": "'",
    "\u00d4\u00c7\u00ff": "'",
    "\u00d4\u00c7\u00a3": '"',
    "\u00d4\u00c7\u00d8": '"',
    "\u00d4\u00c7\u00f4": "-",
    "\u00d4\u00c7\u00f6": "-",
    "\u00e2\u20ac\u2122": "'",
    "\u00e2\u20ac\u02dc": "'",
    "\u00e2\u20ac\u0153": '"',
    "\u00e2\u20ac\u009d": '"',
    "\u00e2\u20ac\u201c": "-",
    "\u00e2\u20ac\u201d": "-",
    "\u00c2\u00a0": " ",
}
_PUNCTUATION: Final = str.maketrans(
    {
        "\u2018": "'", "\u2019": "'", "\u201b": "'", "\u02bc": "'", "\u00b4": "'", "`": "'",
        "\u201c": '"', "\u201d": '"', "\u2010": "-", "\u2011": "-", "\u2012": "-",
        "\u2013": "-", "\u2014": "-", "\u200b": None, "\ufeff": None, "\u00ad": None, "\0": None,
    }
)  # fmt: skip
_BLOCKS: Final = frozenset(
    {"p", "br", "div", "li", "ul", "ol", "table", "tr", "td", "h1", "h2", "h3", "h4"}
)
_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]*>")

# First letter in upper case: the keyword may touch the word before it, and "the current
# status:" inside a sentence is no heading.
_SECTION: Final = re.compile(
    r"(?P<title>Title|TITLE)\s*:"
    r"|(?P<impact>(?:User|Customer|USER)\s+(?:[Ii]mpact|IMPACT|[Ee]xperience))\s*:"
    r"|(?P<more>More\s+[Ii]nfo(?:rmation)?)\s*:"
    r"|(?P<current>Current\s+[Ss]tatus)\s*:"
    r"|(?P<final>Final\s+[Ss]tatus)\s*:"
    r"|(?P<scope>Scope\s+of\s+[Ii]mpact)\s*:"
    r"|(?P<start>(?:Incident\s+|Estimated\s+)?Start\s+[Tt]ime)\s*(?:\(UTC\))?\s*:"
    r"|(?P<end>(?:Incident\s+|Estimated\s+)?End\s+[Tt]ime)\s*(?:\(UTC\))?\s*:"
    r"|(?P<cause>(?:Preliminary\s+[Rr]oot|Root)\s+[Cc]ause)\s*:"
    r"|(?P<next>Next\s+(?:[Ss]teps|[Uu]pdate(?:\s+[Bb]y)?)|Estimated\s+time\s+to\s+\w+)\s*:"
)
_MONTHS: Final = (
    "january", "february", "march", "april", "may", "june", "july",
    "august", "september", "october", "november", "december",
)  # fmt: skip
_LONG_TIME: Final = re.compile(
    r"(?P<month>"
    + "|".join(_MONTHS)
    + r")\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s+(?P<year>\d{4}),?"
    r"\s+(?:at\s+)?(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::\d{2})?\s*(?P<half>[AP]\.?M\.?)?"
    r"(?:\s*\(?(?P<zone>UTC|GMT|[ECMP][SD]T|CEST|CET|BST|IST|JST|AEST|AEDT)\b)?",
    re.IGNORECASE,
)
_ISO_TIME: Final = re.compile(
    r"(?P<date>\d{4}-\d{2}-\d{2})[T ](?P<clock>\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?)"
    r"(?P<offset>Z|[+-]\d{2}:\d{2})?"
)
# Everything Microsoft writes is UTC; times of other zones are left unread rather than guessed.
_UTC_NAMES: Final = frozenset({"UTC", "GMT"})
# Message Center ids (MC...) name announcements, never an outage.
_ID: Final = re.compile(r"(?<![A-Z0-9])(?!MC)([A-Z]{2}\d{5,8})(?![0-9])")
_SENTENCE: Final = re.compile(r"(?<=[.!?;])\s+|\n+")
_CLAUSE: Final = re.compile(
    r",?\s+\b(?:but|while|whereas|although|though|however)\b,?\s+"
    r"|,?\s+and\s+(?=(?:all\s+)?other\b)|;\s*",
    re.IGNORECASE,
)


class _Stripper(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:  # noqa: ARG002 # parser's signature
        self._hidden += tag in {"script", "style"}
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in {"script", "style"}))
        if tag in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def plain(content: str) -> str:
    r"""Return ``content`` as plain text: no tags, entities decoded, NFKC, ASCII quotes.

    >>> plain("<p>Users can&rsquo;t&nbsp;connect</p><p>Admins\u00d4\u00c7\u00d6 view</p>")
    "Users can't connect\nAdmins' view"
    """
    text = content
    if _TAG.search(text):
        stripper = _Stripper()
        stripper.feed(text)
        stripper.close()
        text = "".join(stripper.parts)
    else:
        text = html.unescape(text)
    for wrong, right in _MOJIBAKE.items():
        text = text.replace(wrong, right)
    # Before NFKC as well: it turns a free-standing acute accent into a space and a mark.
    text = unicodedata.normalize("NFKC", text.translate(_PUNCTUATION)).translate(_PUNCTUATION)
    lines = (
        re.sub(r"[^\S\n]+", " ", line).strip().rstrip("\\").rstrip() for line in text.split("\n")
    )
    return "\n".join(line for line in lines if line)


def sections(text: str) -> dict[str, str]:
    """Cut plain text at its keywords; what stands before the first one is ``lead``.

    Keys: lead, title, impact, more, current, final, scope, start, end, cause, next; a
    keyword that comes twice is joined.

    >>> sections("Title: No FormsUser Impact: UsersStart time: now")
    {'title': 'No Forms', 'impact': 'Users', 'start': 'now'}
    """
    found: dict[str, str] = {}
    name, begin = "lead", 0
    for match in [*_SECTION.finditer(text), None]:
        part = text[begin : match.start() if match else len(text)].strip()
        if part:
            found[name] = f"{found[name]}\n{part}" if name in found else part
        if match is not None:
            name, begin = str(match.lastgroup), match.end()
    return found


def clauses(text: str) -> list[str]:
    """Sentences, cut further where "but", "while" or "and other ..." turns the meaning.

    >>> clauses("IMAP4 is affected, but other methods work. Wait.")
    ['IMAP4 is affected', 'other methods work.', 'Wait.']
    """
    return [c for s in _SENTENCE.split(text) for c in _CLAUSE.split(s) if c.strip()]


def read_time(text: str) -> datetime | None:
    """Return the first time in ``text``, in UTC; None where there is none or it is no time.

    >>> read_time("Friday, January 2, 2026, at 12:00 AM UTC").isoformat()
    '2026-01-02T00:00:00+00:00'
    """
    long = _LONG_TIME.search(text)
    if long is not None:
        return _long_time(long)
    iso = _ISO_TIME.search(text)
    if iso is None:
        return None
    try:
        moment = datetime.fromisoformat(f"{iso['date']}T{iso['clock']}{iso['offset'] or 'Z'}")
    except ValueError:
        return None
    return moment.astimezone(UTC)


def _long_time(match: re.Match[str]) -> datetime | None:
    if (match["zone"] or "UTC").upper() not in _UTC_NAMES:
        return None
    hour = int(match["hour"])
    if match["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match["half"].upper().startswith("P") else 0)
    try:
        day = datetime(
            int(match["year"]),
            _MONTHS.index(match["month"].lower()) + 1,
            int(match["day"]),
            tzinfo=UTC,
        )
    except ValueError:
        return None
    if hour > 23 or int(match["minute"]) > 59:
        return None
    return day + timedelta(hours=hour, minutes=int(match["minute"]))


def read_ids(text: str) -> tuple[str, ...]:
    """Ids of advisories in ``text``, in order, each once.

    >>> read_ids("This continues under EX1268771 (was EX1256020); see MC711020.")
    ('EX1268771', 'EX1256020')
    """
    return tuple(dict.fromkeys(_ID.findall(text)))

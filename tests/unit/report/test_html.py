from __future__ import annotations

import base64
import hashlib
import itertools
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest

from pipeline.model.advisory import Post
from pipeline.model.incident import IncidentState, Verdict
from pipeline.report.html import MAX_BYTES, write_report

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

VOID = {"meta", "link", "br", "img", "input", "hr"}
HOSTILE = (
    "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}{% raw %}"
    "</style></title></svg><marquee>\u202egnp.exe\u0000\x1b[31m"
)


class Reader(HTMLParser):
    """Collects elements, and refuses tags that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.style = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["style"]:
            self.style += data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"[\s\u00a0]+", " ", " ".join(self.words))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [a for t, a in self.elements if t == tag]


def report(folder: Path, zone: str = "Europe/Berlin") -> Reader:
    path = write_report(folder, time_zone=zone)
    assert path == folder / "report.html"
    assert path.stat().st_size <= MAX_BYTES
    return Reader(path.read_text("utf-8"))


@pytest.fixture
def page(sample: ModuleType, tmp_path: Path) -> Reader:
    return report(sample.write_folder(tmp_path))


def test_it_tells_the_whole_story(page: Reader) -> None:
    for words in (
        "85% fewer users than usual",
        "3 h 13 min",
        "before Microsoft wrote",
        "41 min",
        "after the start it names",
        "07:41 UTC (08:41 CET)",
        "the same users succeed in Outlook on the web: 188 of 341",
        "not one failure in the sign-in log",
        "A transient error has occurred",
        "We're redirecting traffic to alternate infrastructure.",
        "spread",
        "12 % of the records of Exchange mailbox audit",
        "Client=REST;UserAgent=[NoUserAgent]",
        "an effect on 9 % of the users would have been seen",
        "no sign of it",
        "client version: 4.2610.0",
        "Users failing an hour",
    ):
        assert words in page.text, words


def test_it_asks_nobody_for_anything_and_runs_no_code(page: Reader) -> None:
    policy = next(
        a["content"] for a in page.of("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    digest = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
    assert policy is not None
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")
    assert {t for t, _ in page.elements} & {"script", "iframe", "object", "embed", "form"} == set()
    assert "url(" not in page.style
    assert "@import" not in page.style
    for tag, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in {"src", "srcset", "style", "action", "xlink:href"}
            if name == "href":
                assert (value or "").startswith(("#", "data:,")), (tag, value)


def test_headings_names_and_alternatives(page: Reader) -> None:
    levels = [int(t[1]) for t, _ in page.elements if re.fullmatch(r"h[1-6]", t)]
    assert levels.count(1) == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels))
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    pictures = [a for a in page.of("svg") if a.get("role") == "img"]
    assert len(pictures) >= 6
    for picture in pictures:
        for name in (picture["aria-labelledby"] or "").split():
            assert name in ids
    assert page.of("html")[0]["lang"] == "en"
    for attributes in page.of("div"):
        if attributes.get("class") == "scroll":
            assert attributes["tabindex"] == "0"
            assert attributes["aria-label"]


def test_the_same_folder_gives_the_same_bytes(sample: ModuleType, tmp_path: Path) -> None:
    sample.write_folder(tmp_path)
    first = write_report(tmp_path).read_bytes()
    assert write_report(tmp_path).read_bytes() == first
    assert sorted(p.name for p in tmp_path.glob(".*")) == []


def hostile_folder(sample: ModuleType, out: Path, text: str) -> Path:
    incident = sample.incident(headline=text, incident_id=text[:200])
    evidence = tuple(type(e)(e.verdict, e.weight, text) for e in incident.evidence)
    scope = tuple(
        type(s)(text, text, s.share_inside, s.share_normal, s.affected_users)
        for s in incident.scope
    )
    match = type(incident.advisory)("EX1", 0.5, (text, text), 60.0, -60.0, text, (text,))
    code = type(incident.error_codes[0])(1, 2, text, text)
    changed = sample.incident(
        headline=text, evidence=evidence, scope=scope, advisory=match, error_codes=(code,),
        tenants=(text,), recurrence_of=(text,),
    )  # fmt: skip
    advisory = sample.advisory("EX1", title=text, posts=(Post(sample.PUBLISHED, text, text),))
    return sample.write_folder(
        out,
        incidents=[changed, sample.incident(incident_id=f"b{text[:100]}", headline=text)],
        advisories=[advisory],
        impacts=[sample.impact("EX1", statement=text)],
        summary=sample.summary(
            tenants=[text],
            by_source={text: {"records": 1, "arrival": text}},
            unmatched_clients=[{"source": text, "client_string": text, "records": 2}],
            unmatched_client_share={text: 0.5},
            unknown_codes=[text],
            rejects_by_reason={text: 3},
            gaps=[{"source": text, "start": "2026-03-09T02:00:00Z", "end": "2026-03-09T05:00:00Z"}],
        ),
    )


@pytest.mark.parametrize(
    "tail", ["", "\u202e" * 500 + "a" * 65_536, "W" * 65_536, "\U0001d538\u0301" * 9000]
)
def test_hostile_text_is_only_text(sample: ModuleType, tmp_path: Path, tail: str) -> None:
    folder = hostile_folder(sample, tmp_path, HOSTILE + tail)
    page = report(folder)
    raw = (folder / "report.html").read_text("utf-8")
    assert "<script>alert(1)</script>" in page.text  # shown, word for word
    assert {t for t, _ in page.elements} & {"script", "img", "marquee"} == set()
    assert "{{7*7}}" in page.text
    assert not re.search(r"[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", raw)
    assert len(page.of("style")) == 1
    assert max(map(len, re.findall(r"\S+", page.text))) <= 4000
    assert "overflow-wrap:anywhere" in page.style


@pytest.mark.parametrize(
    "missing", ["incidents", "flags", "advisories", "impacts", "timeline", "summary"]
)
def test_a_missing_part_leaves_the_rest(sample: ModuleType, tmp_path: Path, missing: str) -> None:
    page = report(sample.write_folder(tmp_path, **{missing: None}))
    assert len(page.of("h1")) == 1


def test_a_folder_with_nothing_in_it_is_no_all_clear(tmp_path: Path) -> None:
    (tmp_path / "incidents.ndjson").touch()
    text = report(tmp_path).text
    assert "Nothing to judge" in text
    assert "No incident found" not in text


def test_no_incident_comes_with_the_power_to_have_seen_one(
    sample: ModuleType, tmp_path: Path
) -> None:
    page = report(sample.write_folder(tmp_path, incidents=[], summary=sample.summary(gaps=[])))
    assert "No incident found" in page.text
    assert "would have been flagged: Outlook on the web 5.0 %, classic Outlook" in page.text
    assert "IMAP4 Exchange Online 3 too few users" in page.text
    assert "blind" not in page.text


def test_no_incident_while_blind_is_no_all_clear(sample: ModuleType, tmp_path: Path) -> None:
    page = report(sample.write_folder(tmp_path, incidents=[]))
    assert "No incident found, but we were blind for a part" in page.text
    assert "3 h of the logs are missing" in page.text


def test_no_advisory_yet_is_said_and_has_no_clock(sample: ModuleType, tmp_path: Path) -> None:
    page = report(sample.write_folder(tmp_path, incidents=[sample.incident(advisory=None)]))
    assert "no advisory yet (first to know by our logs)" in page.text
    assert "Who was first" not in page.text


def test_what_still_goes_on_comes_first(sample: ModuleType, tmp_path: Path) -> None:
    now = sample.incident(
        incident_id="inc-now", headline="IMAP4 fails now", state=IncidentState.OPEN,
        resolved_at=None, verdict=Verdict.UNDETERMINED,
    )  # fmt: skip
    page = report(sample.write_folder(tmp_path, incidents=[*sample.history(), now]))
    assert page.text.index("IMAP4 fails now") < page.text.index("85% fewer users")
    assert "And 1 more incident, below." in page.text
    assert "still open" in page.text


def test_a_year_of_incidents_stays_small(sample: ModuleType, tmp_path: Path) -> None:
    text = "word " * 800
    posts = tuple(Post(sample.PUBLISHED + timedelta(minutes=n), "regular", text) for n in range(60))
    incidents = [
        sample.incident(incident_id=f"inc-{n}", onset_at=sample.ONSET + timedelta(minutes=n))
        for n in range(300)
    ]
    advisories = [
        sample.advisory(i, posts=posts)
        for i in ("EX1256020", "EX1268771", *(f"EX{n}" for n in range(300)))
    ]
    page = report(sample.write_folder(tmp_path, incidents=incidents, advisories=advisories))
    assert "300 incidents" in re.sub(r"(?<=\d)\s+(?=\w)", " ", page.text)
    assert "more are in incidents.ndjson" in page.text
    assert "more are in advisories.ndjson" in page.text


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(c * 2 for c in digits) if len(digits) == 3 else digits
    parts = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_every_text_colour_has_the_contrast_of_wcag_aa(page: Reader, theme: int) -> None:
    block = re.findall(r":root\{(.*?)\}", page.style, re.DOTALL)[theme]
    colours = dict(re.findall(r"--(\w+):(#[0-9a-f]+)", block))
    texts = ("ink", "soft", "accent", "critical", "high", "medium", "low", "calm", "advisory")
    for ground in ("page", "card", "sunken"):
        for text in texts:
            assert contrast(colours[text], colours[ground]) >= 4.5, (text, ground)
    # WCAG 1.4.11: lines and bars that carry meaning.
    for line in ("ink", "expected", "gap", "critical", "accent", "advisory", "calm"):
        assert contrast(colours[line], colours["card"]) >= 3, line

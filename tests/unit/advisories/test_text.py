from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.advisories.text import plain, read_ids, read_time, sections


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("<p>One</p><p>Two</p>", "One\nTwo"),
        ("<b>Bold</b>text<br/>next", "Boldtext\nnext"),
        ("A &amp; B &lt;tag&gt;", "A & B <tag>"),
        ("Users can\u2019t", "Users can't"),
        ("Users can&rsquo;t", "Users can't"),
        ("Admins\u00d4\u00c7\u00d6 view", "Admins' view"),
        ("Users can\u00e2\u20ac\u2122t", "Users can't"),
        ("\uff35sers", "Users"),
        ("a\u00a0\u200bb\0c", "a bc"),
        ("line one\\\n\nline two", "line one\nline two"),
        ("<style>p { Title: x }</style>seen", "seen"),
        ("builds < 16.5 and > 16.2", "builds < 16.5 and > 16.2"),
        ("", ""),
    ],
)
def test_content_becomes_plain_text(content: str, expected: str) -> None:
    assert plain(content) == expected


@given(st.text())
def test_any_content_is_survived(content: str) -> None:
    text = plain(content)
    assert "\0" not in text
    sections(text)
    read_time(text)
    read_ids(text)


KEYWORDS = [
    ("Title", "title"), ("User impact", "impact"), ("User Impact", "impact"), ("More info", "more"),
    ("More Info", "more"), ("Current status", "current"), ("Final status", "final"),
    ("Scope of impact", "scope"), ("Start time", "start"), ("Incident Start Time", "start"),
    ("End time", "end"), ("Preliminary root cause", "cause"), ("Root cause", "cause"),
    ("Next steps", "next"), ("Next update by", "next"),
]  # fmt: skip


@pytest.mark.parametrize("separator", ["\n\n", "", " ", "\n"])
@pytest.mark.parametrize(("keyword", "key"), KEYWORDS)
def test_sections_are_cut_whatever_stands_between_them(
    keyword: str, key: str, separator: str
) -> None:
    text = f"Opening words{separator}{keyword}: what it says"
    assert sections(text) == {"lead": "Opening words", key: "what it says"}


def test_a_keyword_inside_a_sentence_is_no_heading() -> None:
    assert sections("Title: See the current status: page") == {
        "title": "See the current status: page"
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Friday, January 2, 2026, at 12:00 AM UTC", datetime(2026, 1, 2, 0, 0, tzinfo=UTC)),
        ("Friday, January 2, 2026, at 12:30 PM UTC", datetime(2026, 1, 2, 12, 30, tzinfo=UTC)),
        ("Tuesday, March 17, 2026 at 2:00 PM UTCEnd", datetime(2026, 3, 17, 14, 0, tzinfo=UTC)),
        ("March 17, 2026, 11:05 PM", datetime(2026, 3, 17, 23, 5, tzinfo=UTC)),
        ("2026-03-17T14:00:00Z", datetime(2026, 3, 17, 14, 0, tzinfo=UTC)),
        ("2026-03-17 14:00", datetime(2026, 3, 17, 14, 0, tzinfo=UTC)),
        ("2026-03-17T14:00:00+02:00", datetime(2026, 3, 17, 12, 0, tzinfo=UTC)),
        ("March 17, 2026, at 2:00 PM PDT", None),  # another zone is not guessed
        ("February 30, 2026, at 2:00 PM UTC", None),
        ("March 17, 2026, at 13:00 PM UTC", None),
        ("March 17, 2026, at 9:75 AM UTC", None),
        ("soon", None),
    ],
)
def test_times(text: str, expected: datetime | None) -> None:
    assert read_time(text) == expected


def test_ids_are_found_once_and_announcements_are_none() -> None:
    assert read_ids("EX100001, (TM200002) and EX100001; MC300003; PREX400004; EX12") == (
        "EX100001",
        "TM200002",
    )

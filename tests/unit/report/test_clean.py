import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.notify.clean import LONG, SHORT, clean, paragraphs


@given(st.text(max_size=2000))
def test_nothing_unseen_or_reordering_is_left(text: str) -> None:
    out = clean(text)
    assert len(out) <= SHORT
    assert "\n" not in out
    for char in out:
        assert unicodedata.category(char) not in {"Cc", "Cs", "Co", "Cn", "Zl", "Zp"}
        assert unicodedata.bidirectional(char) not in {
            "LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI",
        }  # fmt: skip
    assert clean(out) == out


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\u200b", "\ufeff", "\x00", "\x1b"])
def test_each_trick_is_taken_out(mark: str) -> None:
    assert clean(f"a{mark}b") == "ab"


def test_text_of_people_stays() -> None:
    for text in ("Größe €5 naïve", "日本語のテキスト", "مرحبا", "a👍🏽b", "Ελληνικά", "e\u0301"):
        assert clean(text) == text


def test_stacked_accents_are_cut_down() -> None:
    assert clean("a" + "\u0301" * 50) == "a" + "\u0301" * 3


def test_long_text_is_cut_before_it_costs_anything() -> None:
    assert clean("x" * 10_000_000).endswith("…")
    assert sum(map(len, paragraphs("word \n\n" * 1_000_000))) <= LONG


def test_paragraphs_are_kept() -> None:
    assert paragraphs("one\r\nstill one\r\n\r\n\r\ntwo\u202e\n\n   \n") == ["one still one", "two"]
    assert paragraphs("") == []

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.ids import content_id
from pipeline.model.vocabulary import Client

PART = st.none() | st.integers() | st.text(max_size=8)


@given(st.lists(PART, max_size=4), st.lists(PART, max_size=4))
def test_equal_parts_and_only_those_give_equal_ids(left: list[object], right: list[object]) -> None:
    assert (content_id("x", *left) == content_id("x", *right)) == (left == right)


def test_the_parts_do_not_run_together() -> None:
    made = {
        content_id("x", "ab", "c"),
        content_id("x", "a", "bc"),
        content_id("x", "abc"),
        content_id("x", 'ab","c'),
        content_id("x", ["ab", "c"]),
        content_id("x", 1),
        content_id("x", "1"),
    }
    assert len(made) == 7


def test_the_form_is_prefix_and_sixteen_hexadecimal_digits() -> None:
    moment = datetime(2026, 3, 19, tzinfo=UTC)
    assert re.fullmatch(r"flag-[0-9a-f]{16}", content_id("flag", Client.OWA, moment, "é"))


def test_a_file_name_that_is_no_utf8_has_an_id_of_its_own() -> None:
    names = [os.fsdecode(b"caf\xe9"), os.fsdecode(b"caf\xe8"), "café", r"caf\udce9", "\ud800"]
    assert len({content_id("unit", name) for name in names}) == len(names)
    assert content_id("unit", "/logs/café.json", 7, 8, 0) == "unit-2e5dcbbfd5036042"


def test_a_member_of_a_closed_set_counts_as_its_value() -> None:
    assert content_id("x", Client.OWA) == content_id("x", "owa")


def test_another_process_gives_the_same_id() -> None:
    code = "from pipeline.model.ids import content_id; print(content_id('inc', 'a', 1, None))"
    made = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert made == {content_id("inc", "a", 1, None)}

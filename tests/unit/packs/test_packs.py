"""Each pack says what is in it, and from where its formats are known."""

from __future__ import annotations

import re

import pytest

from tests.unit.packs.sent import PACKS

NAMES = sorted(p.name for p in PACKS.iterdir() if p.is_dir())


def test_there_is_a_pack_for_each_product():
    assert NAMES == ["elastic", "grafana", "sentinel", "splunk"]


def readme_problems(text, files):
    """Files that are not told of, and what a page of a pack must tell."""
    named = set(re.findall(r"`([\w./-]+)`", text))
    for path in files:
        if path not in named and not any(n.endswith("/") and path.startswith(n) for n in named):
            yield f"{path} is not told of"
    for heading in ("## Import", "## What you see", "## Sources"):
        if heading not in text:
            yield f"has no part {heading}"


@pytest.mark.parametrize("name", NAMES)
def test_its_page_tells_of_every_file(name):
    folder = PACKS / name
    text = (folder / "README.md").read_text("utf-8")
    files = [
        p.relative_to(folder).as_posix()
        for p in sorted(folder.rglob("*"))
        if p.is_file() and p.name != "README.md"
    ]
    assert list(readme_problems(text, files)) == []
    assert f"{files[0]} is not told of" in list(readme_problems("", files))
    for link in re.findall(r"\]\((\.[^)#]+)", text):
        assert (folder / link).exists(), link

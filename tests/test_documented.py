"""What the documents name exists, and what exists is documented."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from river.base import Estimator

import connectors
import connectors.sources
import detectors
from connectors.sources.event_hubs import EventHubs
from connectors.sources.graph_windows import GraphWindows
from detectors.flags import KINDS
from detectors.registry import DETECTORS
from pipeline.cli.lazy import COMMANDS
from pipeline.cli.main import app
from pipeline.model.errors import ExitCode
from pipeline.model.json_schema import SCHEMA_FOLDER, render
from pipeline.model.vocabulary import FlagKind, Signal, Verdict
from pipeline.runtime import secret_files
from pipeline.runtime.config import ENV_PREFIX, Config
from pipeline.runtime.keys import KEY_VARIABLE
from pipeline.runtime.metrics import Metrics
from tests.contracts import test_advisory_feeds, test_sources

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
pages = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)


@functools.cache
def reference() -> ModuleType:
    """docs/reference.py, which stands in no package."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def snippets(page: Path) -> Iterator[str]:
    """Inline code, and the lines of code blocks with their continuations joined."""
    text = page.read_text("utf-8")
    for block in re.findall(r"^```\w*\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from re.sub(r"\\\n\s*", " ", block).splitlines()
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", outside)


def calls(page: Path) -> Iterator[list[str]]:
    """Words after ``outrider`` in everything that calls it."""
    for snippet in snippets(page):
        for call in re.findall(r"(?:^|\s|/)outrider ((?:(?![|>;#&]).)+)", snippet):
            if not snippet.startswith(("Usage:", "##")):
                yield shlex.split(call.replace("...", ""))


def resolve(words: list[str]) -> tuple[Any, list[str]]:
    """The command that the words call, and the words that are left."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        found = command.get_command(None, words[0])
        if found is None:
            break
        command, words = found, words[1:]
    return command, words


def options(command: Any) -> set[str]:
    names = {"--help", "-h"}
    for parameter in command.params:
        names |= set(parameter.opts) | set(parameter.secondary_opts)
    return names


@pages
def test_commands_and_options_that_a_page_names_exist(page: Path) -> None:
    for words in calls(page):
        command, rest = resolve(words)
        if hasattr(command, "commands") and rest:
            assert rest[0].startswith("-"), f"there is no command: outrider {' '.join(words)}"
        for word in rest:
            if word.startswith("-") and word != "-":
                name = word.split("=")[0]
                assert name in options(command), f"outrider {' '.join(words)}: no option {name}"


def test_the_check_above_sees_calls() -> None:
    seen = {tuple(words[:1]) for page in PAGES for words in calls(page)}
    assert {("backfill",), ("config",), ("incidents",)} <= seen
    command, rest = resolve(["backfil", "x"])
    assert hasattr(command, "commands")
    assert rest == ["backfil", "x"]


def test_every_group_s_commands_have_a_section_each() -> None:
    text = (ROOT / "docs" / "commands.md").read_text("utf-8")
    listed = re.findall(r"^Usage: outrider (.*?) \[OPTIONS\] COMMAND", text, re.MULTILINE)
    assert "incidents route" in listed
    for group in listed:
        for name in resolve(group.split())[0].commands:
            assert f"\n## outrider {group} {name}\n" in text


@pytest.mark.parametrize("name", ["commands.md", "configuration.md"])
def test_the_reference_is_what_make_docs_writes(name: str) -> None:
    assert (ROOT / "docs" / name).read_text("utf-8") == reference().rendered(name)


def test_the_schemas_are_what_make_docs_writes() -> None:
    for name, cls in reference().SCHEMAS.items():
        assert (SCHEMA_FOLDER / f"{name}.json").read_text("utf-8") == render(name, cls)


def test_every_command_and_option_has_help() -> None:
    for name in reference().command_names():
        command, _ = resolve(list(name))
        assert command.help, f"outrider {' '.join(name)} has no help"
        for parameter in command.params:
            assert getattr(parameter, "help", None), f"outrider {' '.join(name)}: {parameter.name}"


def test_every_command_stands_in_the_guides() -> None:
    text = "".join(p.read_text("utf-8") for p in PAGES if p.name != "commands.md")
    assert [name for name in COMMANDS if f"outrider {name}" not in text] == []


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


@pages
def test_make_targets_that_a_page_names_exist(page: Path) -> None:
    for snippet in snippets(page):
        for target in re.findall(r"^make ([a-z]+)", snippet):
            assert target in make_targets(), f"make {target}"


def test_every_make_target_is_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    assert [t for t in sorted(make_targets() - {"help"}) if f"make {t}" not in text] == []


TREE = {p.name for p in ROOT.iterdir() if p.name in {"pipeline", "detectors", "connectors"}} | {
    *("tests", "docs", "benchmarks", "docker", ".ci")
}


@pages
def test_paths_that_a_page_names_exist(page: Path) -> None:
    for snippet in snippets(page):
        if re.fullmatch(r"[\w./-]+", snippet) and snippet.split("/")[0] in TREE and "/" in snippet:
            assert (ROOT / snippet).exists(), snippet
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text("utf-8")):
        target, _, anchor = link.partition("#")
        if re.match(r"https?:", link):
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        if anchor:
            heads = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in heads}


def config_keys() -> set[str]:
    return {path for path, _, _ in reference().keys(Config, Config())}


def environment_of_options() -> set[str]:
    parameters = [p for n in reference().command_names() for p in resolve(list(n))[0].params]
    return {p.envvar for p in parameters if isinstance(p.envvar, str)}


@pages
def test_every_row_stands_in_a_table(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for rows in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        lines = rows.splitlines()
        assert re.fullmatch(r"(\|:?-+:?)+\|", "".join(lines[1:2])), f"no head: {lines[0]}"


@pages
def test_configuration_keys_that_a_page_names_exist(page: Path) -> None:
    sections = "|".join(Config.model_fields)
    for snippet in snippets(page):
        if re.fullmatch(rf"({sections})(\.(?!ndjson)[a-z_0-9]+)+", snippet):
            assert any(f"{k}.".startswith(f"{snippet}.") for k in config_keys()), snippet
    known = {KEY_VARIABLE, "OUTRIDER_SECTION__KEY", *environment_of_options()}
    known |= {name for name in vars(secret_files).values() if isinstance(name, str)}
    for name in re.findall(rf"{ENV_PREFIX}[A-Z0-9_]+[A-Z0-9]", page.read_text("utf-8")):
        dotted = name.removeprefix(ENV_PREFIX).lower().replace("__", ".")
        assert name in known or dotted in config_keys(), name


def first_column(page: str, heading: str) -> list[str]:
    """Code of the first column of the table under a heading."""
    text = (ROOT / "docs" / page).read_text("utf-8")
    section = text.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `?([\w]+)`? \|", section, re.MULTILINE)[1:]


def test_exit_codes_in_the_guide_are_those_of_the_program() -> None:
    assert first_column("backfill.md", "Exit codes") == [str(c.value) for c in ExitCode]


def test_closed_sets_in_the_guides_are_whole() -> None:
    assert first_column("reading-an-incident.md", "The verdicts") == [v.value for v in Verdict]
    assert first_column("detection.md", "Signals") == [s.value for s in Signal if s in KINDS]
    text = (ROOT / "docs" / "detection.md").read_text("utf-8")
    assert {k for k in FlagKind if f"| `{k}` |" in text} == set(KINDS.values())


def public_classes(package: ModuleType) -> Iterator[type]:
    """Classes that a package defines and shows."""
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        for name, cls in inspect.getmembers(importlib.import_module(info.name), inspect.isclass):
            if cls.__module__ == info.name and not name.startswith("_"):
                yield cls


def test_every_detector_is_in_the_table() -> None:
    found = {c for c in public_classes(detectors) if issubclass(c, Estimator)}
    assert found == set(DETECTORS.values())


def test_every_source_and_feed_runs_through_the_contract_checks() -> None:
    found = {c for c in public_classes(connectors.sources) if hasattr(c, "poll")}
    assert found - {GraphWindows} == {*test_sources.CASES.values(), EventHubs}
    source = inspect.getsource(test_advisory_feeds)
    feeds = [c.__name__ for c in public_classes(connectors) if hasattr(c, "changed_since")]
    assert feeds
    assert [name for name in feeds if f"{name}(" not in source] == []


def test_every_metric_is_in_the_guide_and_no_other() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    section = text.split("## Metrics and health", 1)[1].split("\n## ", 1)[0]
    found = Metrics().registry.collect()
    names = {m.name + ("_total" if m.type == "counter" else "") for m in found}
    assert set(re.findall(r"`(outrider_\w+)`", section)) == names

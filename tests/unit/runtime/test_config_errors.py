"""What is said of a configuration that does not fit: where it was written, and what is wanted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import Config, load
from pipeline.runtime.config_words import WANTED

if TYPE_CHECKING:
    from pathlib import Path


def problems(tmp_path: Path, text: str, **environ: str) -> list[str]:
    """The lines of the error; a file ``x.toml`` holds ``text``."""
    path = tmp_path / "x.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, environ=environ)
    return str(caught.value).replace(f"{tmp_path}/", "").splitlines()


def test_a_misspelt_section_of_the_environment_names_the_variable(tmp_path: Path) -> None:
    said = (
        "environment variable OUTRIDER_DETECTON__X: detecton: unknown key; did you mean detection?"
    )
    assert problems(tmp_path, "[backfill]\n", OUTRIDER_DETECTON__X="3") == [said]
    with pytest.raises(ConfigError) as caught:
        load(environ={"OUTRIDER_DETECTON__X": "3"})
    assert str(caught.value) == said
    with pytest.raises(ConfigError, match=r"^command line: detecton: unknown key"):
        load(environ={}, flags={"detecton.x": 3})


def test_a_section_that_the_file_has_too_is_the_file_s(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, "\n[detecton]\ny = 1\n", OUTRIDER_DETECTON__X="3")
    assert said.startswith("x.toml: line 2: detecton: unknown key")


def test_a_section_made_by_variables_alone_is_theirs(tmp_path: Path) -> None:
    (said,) = problems(tmp_path, "", OUTRIDER_SERVE__KEY_FILE="x")
    assert said.startswith("environment variable OUTRIDER_SERVE__KEY_FILE: serve.certificate_file")
    (said,) = problems(tmp_path, "", OUTRIDER_DELIVER__FILES__A__KEEP="3")
    assert said == (
        "environment variable OUTRIDER_DELIVER__FILES__A__KEEP: deliver.files.a.folder: "
        "field required"
    )
    (said,) = problems(tmp_path, "", OUTRIDER_NOTIFY__ROUTES__A__MATCH="['x']")
    assert said.startswith("environment variable OUTRIDER_NOTIFY__ROUTES__A__MATCH: notify.routes")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[backfill]\nworkers = 3\n[collect.graph_signins]\nenabled = true\n",
            "x.toml: microsoft.tenant is missing: the sign-in needs it",
        ),
        (
            "[collect.graph_signins]\nenabled = true\n[microsoft]\nclient_id = 'x'\n",
            "x.toml: line 3: microsoft.tenant is missing: the sign-in needs it",
        ),
        (
            "[backfill]\n[serve]\nwrite = false\ncertificate_file = 'a'\n",
            ("x.toml: line 4: serve.certificate_file and serve.key_file go together; name both"),
        ),
        (
            "[serve.oidc]\nclient_id = 'x'\n",
            "x.toml: line 1: serve.oidc.tenant is missing: the sign-in needs it",
        ),
        (
            "[kafka]\nsecurity = 'SSL'\ncertificate_file = 'a'\n",
            (
                "x.toml: line 3: kafka: certificate_file and certificate_key_file go together; "
                "name both"
            ),
        ),
        (
            "[backfill]\n[notify]\nquiet_hours = ['a']\n",
            "x.toml: line 3: notify: quiet_hours: there are no hours or dates 'a'; there are: none",
        ),
        (
            "[deliver.files.a]\nkeep = 3\n",
            "x.toml: line 1: deliver.files.a.folder: field required",
        ),
        (
            "deliver.files.a.keep = 3\n",
            "x.toml: line 1: deliver.files.a.folder: field required",
        ),
        (
            "[notify.routes.pager]\nsinks = []\nmatch = [\n'severity>=high',\n'x',\n]\n",
            (
                "x.toml: line 3: notify.routes.pager.match.1: 'x' is no matcher; write one such "
                "as severity>=high or client!=owa"
            ),
        ),
    ],
)
def test_a_problem_has_the_line_of_what_it_is_about(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text) == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[deliver.slack.oncall]\ntoken_file = 'x'\nchannel = '#foo'\n",
            (
                "x.toml: line 3: deliver.slack.oncall.channel: must be the id of a channel, such "
                "as C024BE91L; its name is none"
            ),
        ),
        (
            "[deliver.slack.'On Call']\nurl_file = 'x'\n",
            (
                "x.toml: line 1: deliver.slack.On Call: the name may hold a to z, 0 to 9, _ and "
                "-, at most 40 of them, the first no sign"
            ),
        ),
        (
            "[kafka]\nservers = 'a:1'\n",
            'x.toml: line 2: kafka.servers: must be a list: write ["kafka-1.example.net:9093"]',
        ),
        (
            "[notify.routes.a]\nsinks = 'slack.main'\n",
            'x.toml: line 2: notify.routes.a.sinks: must be a list: write ["slack.main"]',
        ),
        (
            "[notify.hours.night]\nweekdays = 'mon'\n",
            'x.toml: line 2: notify.hours.night.weekdays: must be a list: write ["mon"]',
        ),
    ],
)
def test_what_is_wanted_is_said_in_words(tmp_path: Path, text: str, said: str) -> None:
    assert problems(tmp_path, text) == [said]


def patterns(node: Any) -> set[str]:
    """Every pattern of a JSON Schema, of values and of names."""
    if isinstance(node, list):
        return set().union(*map(patterns, node))
    if not isinstance(node, dict):
        return set()
    own = {node["pattern"]} if isinstance(node.get("pattern"), str) else set()
    return own | set(node.get("patternProperties", {})) | patterns(list(node.values()))


def test_every_pattern_has_words() -> None:
    assert patterns(Config.model_json_schema()) == set(WANTED)


def test_problems_come_in_the_order_of_the_file_then_of_variables(tmp_path: Path) -> None:
    text = "[notify.routes.a]\nmatch = ['x']\n[kafka]\nservers = 'x'\n[backfill]\nworkers = '3'\n"
    said = problems(tmp_path, text, OUTRIDER_TENANT__TIMEZONE="UTC", OUTRIDER_A__B="1")
    where = [re.match(r"x\.toml: line \d+|environment variable \w+", line) for line in said]
    assert [w and w[0] for w in where] == [
        "x.toml: line 2",
        "x.toml: line 4",
        "x.toml: line 6",
        "environment variable OUTRIDER_A__B",
        "environment variable OUTRIDER_TENANT__TIMEZONE",
    ]

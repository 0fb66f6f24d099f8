import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import Config, load
from pipeline.runtime.config_errors import known_keys
from pipeline.runtime.config_example import example


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "outrider.toml"
    path.write_text(text, "utf-8")
    return path


def problem(tmp_path: Path, text: str, **environ: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), environ=environ)
    return str(caught.value)


def test_nothing_given_is_a_working_configuration() -> None:
    assert load(environ={}) == Config()


def test_the_example_is_the_default(tmp_path: Path) -> None:
    assert load(write(tmp_path, example()), environ={}) == Config()


def test_the_example_uncommented_sets_every_key_there_is() -> None:
    def key_line(line: str) -> bool:
        try:
            return bool(tomllib.loads(line.removeprefix("# ")))
        except tomllib.TOMLDecodeError:
            return False

    lines = example().splitlines()
    text = "\n".join(x.removeprefix("# ") if key_line(x) else x for x in lines)
    found = tomllib.loads(text)
    assert found["sites"] == {"203.0.113.0/24": "Berlin office", "2001:db8:7::/48": "Lisbon office"}
    assert found["backfill"]["workers"] == 4
    # All values fit; only some ways to tell the same thing exclude each other.
    with pytest.raises(ValidationError) as caught:
        Config.model_validate_json(json.dumps(found, default=str))
    told = [(e["type"], e["msg"]) for e in caught.value.errors()]
    assert [t for t in told if t[0] != "value_error" or "contradict" not in t[1]] == []

    def paths(node: dict, prefix: str = "") -> set[str]:
        found = set()
        for key, value in node.items():
            found.add(prefix + key)
            if isinstance(value, dict) and prefix + key != "sites":
                found |= paths(value, f"{prefix}{key}.")
        return found

    assert paths(found) == set(known_keys(Config))


def test_flags_go_before_environment_before_file(tmp_path: Path) -> None:
    path = write(tmp_path, "[backfill]\nworkers = 2\nslice_mib = 8\n[tenant]\nid = 'a'\n")
    config = load(
        path,
        environ={"OUTRIDER_BACKFILL__WORKERS": "3", "OUTRIDER_BACKFILL__SLICE_MIB": "9"},
        flags={"backfill.workers": 5, "tenant.id": None},
    )
    assert (config.backfill.workers, config.backfill.slice_mib, config.tenant.id) == (5, 9, "a")


def test_environment_takes_text_that_is_no_toml_and_ignores_other_names() -> None:
    config = load(
        environ={
            "OUTRIDER_TENANT__TIME_ZONE": "Europe/Berlin",
            "OUTRIDER_SOURCES__EXCHANGE_AUDIT__DECLARED_DELAY_SECONDS": "60",
            "OUTRIDER_PRIVACY_KEY": "x" * 32,
            "OUTRIDER_CONFIG": "elsewhere",
            "PATH": "a__b",
        }
    )
    assert config.tenant.time_zone == "Europe/Berlin"
    assert config.sources.exchange_audit.declared_delay_seconds == 60


@pytest.mark.parametrize(
    ("text", "line", "path", "near"),
    [
        ("[detection]\nfalse_page_per_month = 1\n", 2, "detection.false_page_per_month",
         "detection.false_pages_per_month"),
        ("\n[sorces.exchange_audit]\ndeclared_delay_seconds = 1\n", 2, "sorces", "sources"),
        ("[tenant]\nid = 'a'\nworkers = 3\n", 3, "tenant.workers", "backfill.workers"),
        ("[sources.exchange_audits]\n", 1, "sources.exchange_audits", "sources.exchange_audit"),
        ("backfill.worker = 3\n", 1, "backfill.worker", "backfill.workers"),
    ],
)  # fmt: skip
def test_a_typo_names_file_line_path_and_the_nearest_key(
    tmp_path: Path, text: str, line: int, path: str, near: str
) -> None:
    expected = f"outrider.toml: line {line}: {path}: unknown key; did you mean {near}?"
    assert problem(tmp_path, text).endswith(expected)


def test_a_typo_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    message = problem(tmp_path, "", OUTRIDER_TENANT__TIMEZONE="UTC")
    assert message == (
        "environment variable OUTRIDER_TENANT__TIMEZONE: tenant.timezone: unknown key; "
        "did you mean tenant.time_zone?"
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[tenant]\ntime_zone = 'Mars/Olympus'\n", "no IANA time zone"),
        ("[tenant]\nid = 'a\\u0000b'\n".replace("'", '"'), "without control characters"),
        ("[sites]\n'203.0.113.5/24' = 'x'\n", "no network prefix"),
        ("[backfill]\nworkers = '3'\n", "valid integer"),
        ("[backfill]\nworkers = 0\n", "greater than or equal to 1"),
        ("[detection]\nfalse_pages_per_month = nan\n", "finite number"),
        ("[privacy]\nreveal_users = 1\n", "valid boolean"),
        ("tenant = 3\n", "object"),
        ("[tenant\n", "is not TOML"),
    ],
)
def test_a_wrong_value_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    message = problem(tmp_path, text)
    assert says in message
    assert "outrider.toml" in message
    assert "\n" not in message


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    message = problem(tmp_path, "[backfill]\nworkers = 'x'\nslice = 2\n")
    assert len(message.splitlines()) == 2


def test_a_missing_or_binary_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: cannot be read"):
        load(tmp_path / "nowhere.toml", environ={})
    (tmp_path / "bin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"bin\.toml: is not UTF-8"):
        load(tmp_path / "bin.toml", environ={})


def test_a_section_given_as_value_is_refused(tmp_path: Path) -> None:
    message = problem(tmp_path, "tenant = 3\n", OUTRIDER_TENANT__ID="a")
    assert "tenant is a value, not a section" in message


def test_a_secret_in_the_wrong_place_never_comes_back(tmp_path: Path) -> None:
    path = write(tmp_path, "[privacy]\nkey = 'hunter2-hunter2'\nreveal_users = 'hunter3'\n")
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    for error in (caught.value, caught.value.__cause__):
        assert "hunter" not in f"{error} {error!r}"


def test_the_configuration_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().tenant.id = "x"  # type: ignore[misc] # that it is refused is the point


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_a_clear_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, "utf-8", errors="surrogatepass")
    try:
        load(path, environ={})
    except ConfigError as error:
        assert "any.toml" in str(error)  # noqa: PT017 # both endings are fine, the text is not


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[deliver.splunk.prod]\naddress = 'https://s:8088'\ntoken_fil = 'x'\n",
            (
                "line 3: deliver.splunk.prod.token_fil: unknown key; did you mean "
                "deliver.splunk.prod.token_file?"
            ),
        ),
        (
            "[notify.routes.night]\n[notify.routes.night.routes.pager]\nmatsch = []\n",
            (
                "line 3: notify.routes.night.routes.pager.matsch: unknown key; did you mean "
                "notify.routes.night.routes.pager.match?"
            ),
        ),
        ("[deliver.splunk.'Not a name']\n", "deliver.splunk.Not a name"),
    ],
)
def test_a_section_with_a_name_of_ones_own_is_named_in_errors(
    tmp_path: Path, text: str, said: str
) -> None:
    assert said in problem(tmp_path, text)

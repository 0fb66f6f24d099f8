import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.model.errors import ConfigError
from pipeline.runtime.config import load
from pipeline.runtime.own_addresses import keep_visible
from pipeline.runtime.telemetry import (
    IP_MARK,
    MAIL_MARK,
    configure,
    get_logger,
    redact,
    unit_of_work,
)


@pytest.fixture(autouse=True)
def no_configuration() -> Iterator[None]:
    """What a configuration lets through is that of the last one that was loaded."""
    keep_visible([])
    yield
    keep_visible([])


def logged(log_format: str = "json", level: str = "info", **fields: Any) -> str:
    stream = io.StringIO()
    configure(log_format, level=level, stream=stream)  # type: ignore[arg-type] # from a test
    get_logger("test").info("something", **fields)
    return stream.getvalue()


def test_json_unless_on_a_terminal() -> None:
    line = json.loads(logged("auto", records=3))
    assert line["event"] == "something"
    assert line["level"] == "info"
    assert line["logger"] == "test"
    assert line["records"] == 3
    assert line["timestamp"].endswith("Z")


def test_the_console_line_is_key_value() -> None:
    line = logged("console", records=3, path="a b", odd="x\n\x1b[31my")
    assert "something  logger=test records=3 path='a b'" in line
    assert line.count("\n") == 1
    assert "\x1b" not in line


def test_below_the_level_nothing_is_written() -> None:
    assert logged(level="warning") == ""


@pytest.mark.parametrize(
    "value",
    [
        "jo@contoso.com",
        "jo.o'neil+x@mail.contoso.co.uk",
        "jo_fabrikam.com#EXT#@contoso.onmicrosoft.com",
        "mailto:jo%40contoso.com",
        "jürgen@münchen.de",
        ["jo@contoso.com"],
        {"jo@contoso.com": 1},
        {"deep": [{"er": ("jo@contoso.com",)}]},
        ValueError("user jo@contoso.com is unknown"),
        b"jo@contoso.com",
    ],
)
def test_mail_addresses_do_not_pass(value: Any) -> None:
    for log_format in ("json", "console"):
        line = logged(log_format, value=value)
        assert "contoso" not in line
        assert "münchen" not in line


@pytest.mark.parametrize(
    "address",
    [
        "203.0.113.9", "203.0.113.9:50412", "[2001:db8::5]:443", "2001:db8:0:0:0:0:0:5",
        "::ffff:203.0.113.9", "fe80::1%eth0", "client 203.0.113.9.", "a=203.0.113.9,b",
    ],
)  # fmt: skip
def test_ip_addresses_do_not_pass(address: str) -> None:
    line = logged(value=f"from {address} came")
    assert "203.0.113.9" not in line
    assert "2001:db8" not in line
    assert "fe80::1" not in line
    assert IP_MARK in line


@pytest.mark.parametrize(
    "text",
    [
        "08:00:00", "2026-03-19T08:00:00Z", "version 4.2.1", "16.0.17531.20152", "1.5 s",
        "inc-33c65910ec91c732", "12:30", "AS3320", "C:/exports/a.json", "x @ y",
    ],
)  # fmt: skip
def test_what_is_no_address_stays(text: str) -> None:
    assert redact(text) == text


OWN = """
[kafka]
servers = ["192.0.2.7:9092", "[2001:db8::7]:9092"]
[deliver.syslog.a]
host = "192.0.2.8"
[deliver.elastic.a]
address = "https://192.0.2.9:9200/x"
[sites]
"203.0.113.9/32" = "Berlin"
"""


@pytest.mark.parametrize("address", ["192.0.2.7", "2001:db8::7", "192.0.2.8", "192.0.2.9"])
def test_an_address_that_the_configuration_connects_to_stays(tmp_path: Path, address: str) -> None:
    (tmp_path / "x.toml").write_text(OWN)
    shown = f"[{address}]:9092" if ":" in address else f"{address}:9092"
    text = f"Kafka at {shown}: refused"
    assert IP_MARK in redact(text)
    load(tmp_path / "x.toml", environ={})
    assert redact(text) == text
    load(environ={})
    assert IP_MARK in redact(text)


@pytest.mark.parametrize(
    "text",
    ["203.0.113.9", "192.0.2.70", "::ffff:192.0.2.7", "2001:db8::70", "a@192.0.2.7"],
)
def test_nothing_else_is_let_through_with_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.toml").write_text(OWN)
    load(tmp_path / "x.toml", environ={})
    said = redact(f"from {text} came")
    assert IP_MARK in said
    assert text.rsplit("@", maxsplit=1)[-1] not in said


def test_an_exception_is_redacted_too() -> None:
    stream = io.StringIO()
    configure("json", stream=stream)
    error = ValueError("jo@contoso.com from 203.0.113.9")
    get_logger("test").error("failed", exc_info=error)
    assert "contoso" not in stream.getvalue()
    assert "203.0.113.9" not in stream.getvalue()
    assert MAIL_MARK in stream.getvalue()


def test_a_unit_of_work_is_one_line() -> None:
    stream = io.StringIO()
    configure("json", stream=stream)
    with unit_of_work(get_logger("test"), "read", files=2) as work:
        work["records"] = 7
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["event"], line["files"], line["records"]) == ("read", 2, 7)
    assert line["outcome"] == "ok"
    assert line["seconds"] >= 0


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError("jo"), "failed"), (KeyboardInterrupt(), "interrupted")]
)
def test_a_unit_of_work_that_fails_says_so_and_goes_on(error: BaseException, outcome: str) -> None:
    stream = io.StringIO()
    configure("json", stream=stream)
    with pytest.raises(type(error)), unit_of_work(get_logger("test"), "read"):
        raise error
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["outcome"], line["error"]) == (outcome, type(error).__name__)
    assert "jo" not in stream.getvalue().replace(line["error"], "")
    assert "reason" not in line


def test_what_was_raised_on_purpose_tells_its_reason_without_addresses() -> None:
    stream = io.StringIO()
    configure("json", stream=stream)
    told = "kafka.servers: nobody answers jo@contoso.com at 203.0.113.9"
    with pytest.raises(ConfigError), unit_of_work(get_logger("test"), "read"):
        raise ConfigError(told)
    (line,) = map(json.loads, stream.getvalue().splitlines())
    assert (line["outcome"], line["error"]) == ("failed", "ConfigError")
    assert line["reason"] == f"kafka.servers: nobody answers {MAIL_MARK} at {IP_MARK}"


@given(st.text(max_size=300))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once

"""The check a sceptic would make: the printed evidence, redone from the printed numbers."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from detectors.bank import BankSettings, TenantBank
from pipeline.cli.main import main
from pipeline.model.documents import to_line
from pipeline.model.errors import ExitCode
from pipeline.model.vocabulary import Client, OutcomeFamily, Service, Source
from pipeline.model.window import COUNT_COLUMNS, USER_HOUR_SCHEMA, Cell, WindowBlock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import ModuleType

START = datetime(2026, 3, 2, tzinfo=UTC)
SIGN_INS = Source.ENTRA_SIGNIN_NONINTERACTIVE
CELLS = tuple(
    Cell("t", SIGN_INS, service, client)
    for service, client in (
        (Service.EXCHANGE_ONLINE, Client.OUTLOOK_IOS),
        (Service.EXCHANGE_ONLINE, Client.OWA),
        (Service.TEAMS, Client.TEAMS),
    )
)
DAY = 0.05 + np.exp(-(((np.arange(1440) - 760) / 190.0) ** 2))


def day_of(number: int, rng: np.random.Generator) -> WindowBlock:
    """A working day; on the last, iOS fails twice within three hours and loses its users."""
    n = rng.poisson(np.broadcast_to(4.0 * DAY, (3, 1440))).astype(np.int32)
    failing = rng.binomial(n, 0.01).astype(np.int32)
    active = n.copy()
    if number == 9:
        for span in (slice(603, 640), slice(671, 760)):
            failing[0, span] = rng.binomial(n[0, span], 0.4)
        active[0, 540:800] = rng.binomial(active[0, 540:800], 0.3)
    counts = {name: np.zeros((3, 1440), np.int32) for name in COUNT_COLUMNS}
    counts |= {f"eligible_{family}": n for family in OutcomeFamily}
    counts |= {"newly_active": active, "newly_failing_service": failing}
    return WindowBlock(
        start=START + timedelta(days=number),
        minutes=1440,
        cells=CELLS,
        counts=counts,
        codes={},
        completeness={("t", SIGN_INS): np.ones(1440, np.float32)},
        user_hours=USER_HOUR_SCHEMA.empty_table(),
        settle={("t", SIGN_INS): (60.0, 300.0)},
    )


@pytest.fixture(scope="module")
def folder(sample: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    bank = TenantBank("t", BankSettings(1.0, {}))
    rng = np.random.default_rng(4)
    flags, traces = [], []
    for number in range(10):
        flags += bank.advance(day_of(number, rng))
        traces.append(bank.trace.take())
    out: Path = tmp_path_factory.mktemp("explain")
    (out / "flags.ndjson").write_text("".join(to_line(f) + "\n" for f in flags))
    ids = tuple(dict.fromkeys(f.flag_id for f in flags))
    (out / "incidents.ndjson").write_text(to_line(sample.incident(flag_ids=ids)) + "\n")
    pq.write_table(pa.concat_tables(traces), out / "evidence.parquet")
    return out


def explained(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> str:
    assert main(["incidents", "explain", f"{folder}/inc-33", *options]) == 0
    return capsys.readouterr().out


def flags_of(capsys: pytest.CaptureFixture[str], folder: Path) -> list[dict[str, Any]]:
    flags = json.loads(explained(capsys, folder, "--all", "--json"))["flags"]
    # Two failures close to each other and a drop: both laws, and a lane flagged twice.
    assert {f["law"] for f in flags} == {"beta_binomial", "negative_binomial"}
    lanes = [(f["flag"]["client"], f["flag"]["signal"]) for f in flags]
    assert lanes.count(("outlook_ios", "failure_rate")) == 2
    return list(flags)


def log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def beta_binomial(n: float, f: float, p: float, rho: float) -> float:
    """Log probability of f among n, with the coefficient."""
    a, b = p * (1 / rho - 1), (1 - p) * (1 / rho - 1)
    choose = math.lgamma(n + 1) - math.lgamma(f + 1) - math.lgamma(n - f + 1)
    return choose + log_beta(f + a, n - f + b) - log_beta(a, b)


def negative_binomial(x: float, mean: float, size: float) -> float:
    """Log probability of x."""
    p = size / (size + mean)
    choose = math.lgamma(x + size) - math.lgamma(x + 1) - math.lgamma(size)
    return choose + size * math.log(p) + x * math.log(1 - p)


def ratio(law: str, minute: dict[str, Any], alternative: float) -> float:
    null, spread, seen = minute["null"], minute["spread"], minute["observed"]
    if law == "beta_binomial":
        n = minute["trials"]
        return beta_binomial(n, seen, alternative, spread) - beta_binomial(n, seen, null, spread)
    size = null / (spread - 1)
    return negative_binomial(seen, alternative, size) - negative_binomial(seen, null, size)


def test_every_ratio_follows_from_the_counts_and_the_laws(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for told in flags_of(capsys, folder):
        for minute in told["minutes"]:
            mine = [ratio(told["law"], minute, a) for a in minute["alternatives"]]
            assert minute["llr"] == pytest.approx([max(v, -10.0) for v in mine], abs=1e-8)


def test_score_onset_and_recovery_follow_from_the_ratios(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    for told in flags_of(capsys, folder):
        flag, win = told["flag"], told["winner"]
        r, walk = told["carried"]
        onset, raised, over = None, None, 0.0
        for minute in told["minutes"]:
            llr = minute["llr"] if minute["judged"] else [0.0] * len(r)
            if raised is None:
                ceiling = math.exp(minute["threshold"] + 3.0)
                if minute["judged"]:
                    r = [min((1 + a) * math.exp(b), ceiling) for a, b in zip(r, llr, strict=True)]
                onset = minute["minute"] if walk[win] == 0 else onset
                walk = [max(0.0, w + v) for w, v in zip(walk, llr, strict=True)]
                score = math.log(max(sum(r) / len(r), 1.0))
                assert minute["score"] == pytest.approx(score, abs=1e-9)
                if score >= minute["threshold"]:
                    raised = minute["minute"]
            elif minute["minute"] >= flag["closed_at"]:
                over -= llr[win]
                assert minute["recovery"] == pytest.approx(over, abs=1e-9)
        assert (onset, raised) == (flag["onset_at"], flag["alarm_at"])
        assert over >= 6.9


def by_hand(text: str) -> Iterator[tuple[str, dict[str, float], list[str]]]:
    """Law, inputs and lines of every minute that is spelled out."""
    for block in re.findall(r"  By hand, [^\n]*\n((?:    [^\n]*\n?)+)", text):
        lines = [line.strip() for line in block.splitlines()]
        inputs = {k: float(v) for k, v in re.findall(r"(\w+) = ([-\d.e+]+)", lines[0])}
        yield ("beta_binomial" if "rho" in inputs else "negative_binomial"), inputs, lines


def numbers(line: str) -> list[float]:
    return [float(v) for v in line.split(" = ")[1].split(", ")]


def test_the_printed_page_can_be_checked_by_hand(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    checked = set()
    for law, given, (_, sum_line, llr_line, before, after, score) in by_hand(
        explained(capsys, folder)
    ):
        minute = {
            "null": given.get("p0", given.get("m0")),
            "spread": given.get("rho", given.get("phi")),
            "observed": given.get("f", given.get("x")),
            "trials": given.get("n"),
        }
        mine = ratio(law, minute, given.get("p1", given.get("m1", 0.0)))
        assert float(sum_line.rsplit(" = ", 1)[1]) == pytest.approx(mine, abs=1e-5)
        llr, old, new = numbers(llr_line), numbers(before), numbers(after)
        assert any(v == pytest.approx(mine, abs=1e-5) for v in llr)
        ceiling = max(new) * (1 + 1e-6)
        grown = [min((1 + r) * math.exp(v), ceiling) for r, v in zip(old, llr, strict=True)]
        assert new == pytest.approx(grown, rel=1e-6)
        assert float(score.rsplit(" = ", 1)[1]) == pytest.approx(
            math.log(sum(new) / len(new)), abs=1e-6
        )
        checked.add(law)
    assert checked == {"beta_binomial", "negative_binomial"}


def test_one_flag_is_explained_and_the_others_are_named(
    capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    every = [f["flag"]["flag_id"] for f in flags_of(capsys, folder)]
    text = explained(capsys, folder, "--flag", every[1])
    assert text.count("Question") == 1
    assert every[1] in text
    assert f"{len(every) - 1} more flags" in text
    assert "more flags" not in explained(capsys, folder, "--all")


def test_the_plot_is_one_file_that_asks_nobody(
    capsys: pytest.CaptureFixture[str], folder: Path, tmp_path: Path
) -> None:
    file = tmp_path / "plot.svg"
    explained(capsys, folder, "--plot", str(file))
    root = ET.fromstring(file.read_text("utf-8"))  # noqa: S314 # our own file
    drawn = [p.get("d") for p in root.iter("{http://www.w3.org/2000/svg}path")]
    assert len(drawn) == 4 * 2  # band, expected, observed and score of two signals
    assert all(drawn)
    assert not re.search(r"href|url\(|<script", file.read_text("utf-8"))
    assert not re.search(r"nan|inf\b", file.read_text("utf-8"))


def test_a_folder_without_minutes_says_what_to_do(
    capsys: pytest.CaptureFixture[str], sample: ModuleType, tmp_path: Path
) -> None:
    sample.write_folder(tmp_path / "out")
    assert main(["incidents", "explain", f"{tmp_path}/out/inc-33"]) == ExitCode.USAGE
    assert "run `outrider backfill` again" in capsys.readouterr().err

"""CSV in, scores out: forms of time, missing cells, and errors that name their place."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from pipeline.cli.main import main
from pipeline.model.errors import ExitCode, FatalError
from pipeline.runtime.series import score_series

if TYPE_CHECKING:
    from pathlib import Path


def numbers(count: int) -> list[str]:
    """A level that wiggles, with one value far off at the end."""
    return [f"{20 + (7 * n % 11) / 10}" for n in range(count - 1)] + ["90"]


def test_every_row_is_answered_in_its_own_words() -> None:
    lines = ["Value,Note,Timestamp", *(f"{v},x,{3600 * n}" for n, v in enumerate(numbers(300)))]
    rows = list(score_series(lines, "a.csv"))
    assert [t for t, _ in rows] == [str(3600 * n) for n in range(300)]
    assert 0.5 < rows[-1][1] < 1.0
    assert max(s for _, s in rows[:-1]) < 0.4


@pytest.mark.parametrize(
    "form",
    [
        lambda n: f"2026-03-{1 + n // 24:02d} {n % 24:02d}:00:00",
        lambda n: f"2026-03-{1 + n // 24:02d}T{n % 24:02d}:00:00Z",
        lambda n: str(1_772_323_200 + 3600 * n),
        lambda n: str(1_772_323_200_000 + 3_600_000 * n),
    ],
    ids=["ISO", "ISO with zone", "seconds", "milliseconds"],
)
def test_time_may_be_written_in_any_usual_form(form) -> None:
    def run(clock):
        lines = [f"{clock(n)},{v}" for n, v in enumerate(numbers(500))]
        return [score for _, score in score_series(lines, "a.csv")]

    assert run(form) == run(lambda n: str(1_772_323_200.0 + 3600 * n))


@pytest.mark.parametrize("empty", ["", "NaN", "null"])
def test_what_is_missing_scores_nothing(empty: str) -> None:
    lines = [f"{3600 * n},{v if n % 7 else empty}" for n, v in enumerate(numbers(300))]
    rows = list(score_series(lines, "a.csv"))
    assert len(rows) == 300
    assert {score for _, score in rows[::7]} == {0.0}


def test_a_missing_timestamp_follows_the_one_before() -> None:
    whole = [f"{3600 * n},{v}" for n, v in enumerate(numbers(300))]
    holes = [f",{row.split(',')[1]}" if n % 5 == 4 else row for n, row in enumerate(whole)]
    assert [s for _, s in score_series(holes, "a")] == [s for _, s in score_series(whole, "a")]


def test_rows_are_scored_as_they_come() -> None:
    endless = (f"{60 * n},{n % 13}" for n in itertools.count())
    assert len(list(itertools.islice(score_series(endless, "-"), 5000))) == 5000


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("3600,high", "a.csv, line 3, column 2: 'high' is no number"),
        ("soon,1", "a.csv, line 3, column 1: 'soon' is no time"),
        ("inf,1", "a.csv, line 3, column 1: 'inf' is no time"),
        ("3600", "a.csv, line 3: 1 column(s), want 2"),
    ],
)
def test_an_error_names_line_and_column(row: str, says: str) -> None:
    with pytest.raises(FatalError) as caught:
        list(score_series(["timestamp,value", "0,1", row], "a.csv"))
    assert says in str(caught.value)


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad, out = tmp_path / "good.csv", tmp_path / "bad.csv", tmp_path / "out.csv"
    good.write_text("timestamp,value\n2026-03-01,1\n2026-03-02,2\n")
    bad.write_text("timestamp,value\n2026-03-01,1\n2026-03-02,b\n")
    assert main(["detect-series", str(bad), "--out", str(out)]) == ExitCode.FAILURE
    assert f"{bad}, line 3, column 2" in capsys.readouterr().err
    assert {p.name for p in tmp_path.iterdir()} == {"good.csv", "bad.csv"}
    assert main(["detect-series", str(good), "--out", str(out)]) == ExitCode.OK
    assert out.read_text() == "timestamp,score\n2026-03-01,0.000000000\n2026-03-02,0.000000000\n"
    assert main(["detect-series", str(good)]) == ExitCode.OK
    assert capsys.readouterr().out == out.read_text()
    assert main(["detect-series", str(tmp_path / "none.csv")]) == ExitCode.USAGE


def test_bytes_that_are_no_text_are_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b"timestamp,value\n2026-03-01,\xff\xfe\n")
    assert main(["detect-series", str(file)]) == ExitCode.FAILURE
    err = capsys.readouterr().err
    assert "no CSV in UTF-8" in err
    assert err.count("\n") == 1

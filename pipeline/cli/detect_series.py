"""``outrider detect-series``: a CSV of timestamps and values in, scores out."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path  # noqa: TC003 # read by Typer at run time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.model.errors import ConfigError
from pipeline.runtime.series import score_series

if TYPE_CHECKING:
    from typing import TextIO

app = typer.Typer(rich_markup_mode=None, add_completion=False)


@app.command()
def detect_series(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV: timestamp,value; - is standard input.")
    ],
    *,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write here, not to standard output.")
    ] = None,
) -> None:
    """Score a series of values: how unusual is each row, from what came before it alone.

    Prints timestamp,score for every row. A score is e / (e + 10), e the natural logarithm of
    how rare such a row is: 0 is nothing, 0.5 some 22,000 to 1, 1 is never reached. A long
    anomaly is told once. The first 100 rows score 0, and so do missing values.
    """
    with ExitStack() as stack:
        source = _open(file, stack)
        if out is None:
            _write(sys.stdout, source, file)
            return
        draft = out.with_name(f".{out.name}.tmp")
        stack.callback(draft.unlink, missing_ok=True)
        with draft.open("w", encoding="utf-8", newline="") as target:
            _write(target, source, file)
        draft.replace(out)


def _open(file: str, stack: ExitStack) -> TextIO:
    if file == "-":
        return sys.stdin
    try:
        return stack.enter_context(open(file, encoding="utf-8-sig", newline=""))  # noqa: PTH123 # a text stream either way
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error


def _write(target: TextIO, source: TextIO, name: str) -> None:
    target.write("timestamp,score\n")
    for timestamp, score in score_series(source, name):
        # A comma within a timestamp would be a column more.
        text = f'"{timestamp}"' if "," in timestamp else timestamp
        target.write(f"{text},{score:.9f}\n")

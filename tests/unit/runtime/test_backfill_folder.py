"""A folder that results cannot be written to: the remedy is that of what is wrong with it."""

from __future__ import annotations

import errno
import os

import pytest

from pipeline.model.errors import FatalError
from pipeline.runtime import backfill as module
from pipeline.runtime.backfill import BackfillRequest, backfill
from pipeline.runtime.config import Config
from pipeline.runtime.progress import Progress
from pipeline.runtime.telemetry import get_logger


def said(out):
    with pytest.raises(FatalError) as caught:
        backfill(
            BackfillRequest((str(out.parent),), (), out),
            Config(),
            progress=Progress(),
            log=get_logger("test"),
        )
    return str(caught.value)


def test_a_file_in_place_of_the_folder_asks_for_another(tmp_path):
    (tmp_path / "afile").write_text("")
    assert said(tmp_path / "afile") == (
        f"{tmp_path}/afile: cannot write the results (Not a directory); name a folder that can be "
        "written with --out"
    )


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_asks_for_space_and_says_that_nothing_is_lost(tmp_path, monkeypatch, number):
    def full(*_args):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module._Run, "run", full)
    assert said(tmp_path).endswith(
        "; free some space, then run the same command again: it goes on where it stopped"
    )

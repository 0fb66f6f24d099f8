from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType


@pytest.fixture(scope="session")
def sample() -> ModuleType:
    """The builder of output folders; tests stand in no package to import it from."""
    spec = importlib.util.spec_from_file_location(
        "sample_folder", Path(__file__).with_name("sample_folder.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

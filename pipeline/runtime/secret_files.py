"""Secrets by reference: a file that holds one, or a variable of the environment."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from pipeline.model.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# Variables of the environment that hold secrets, where no file is named.
KAFKA_PASSWORD: Final = "OUTRIDER_KAFKA_PASSWORD"  # noqa: S105 # a name
KAFKA_KEY_PASSWORD: Final = "OUTRIDER_KAFKA_KEY_PASSWORD"  # noqa: S105 # a name
KAFKA_CLIENT_SECRET: Final = "OUTRIDER_KAFKA_CLIENT_SECRET"  # noqa: S105 # a name
KAFKA_CLIENT_KEY_PASSWORD: Final = "OUTRIDER_KAFKA_CLIENT_KEY_PASSWORD"  # noqa: S105 # a name
CLIENT_SECRET: Final = "OUTRIDER_CLIENT_SECRET"  # noqa: S105 # a name
CLIENT_KEY_PASSWORD: Final = "OUTRIDER_CLIENT_KEY_PASSWORD"  # noqa: S105 # a name
SIGN_IN_SECRET: Final = "OUTRIDER_SIGN_IN_SECRET"  # noqa: S105 # a name
SIGN_IN_KEY_PASSWORD: Final = "OUTRIDER_SIGN_IN_KEY_PASSWORD"  # noqa: S105 # a name
EVENT_HUBS_CONNECTION: Final = "OUTRIDER_EVENT_HUBS_CONNECTION"
STORAGE_SAS: Final = "OUTRIDER_STORAGE_SAS"
_MAXIMUM_BYTES: Final = 65_536  # a federated token has some 2 KiB; a larger file is a wrong path


def given(variable: str) -> bool:
    """Whether a variable of the environment holds something."""
    return bool(os.environ.get(variable))


def read_secret(path: Path | None, variable: str, what: str, key: str) -> str:
    """The secret of a file, without its last newline, or else of the environment.

    Args:
        path: the file, if one is named.
        variable: of the environment, asked where no file is named.
        what: the secret is, for messages: ``the password of Kafka``.
        key: of the configuration that names the file.

    Raises:
        ConfigError: there is none, it is empty, or the file cannot be read.
    """
    if path is not None:
        return _of_file(path, what)
    given = os.environ.get(variable, "")
    if not given:
        raise ConfigError(f"{what} is missing: name its file with {key}, or set {variable}")
    return given


def _of_file(path: Path, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_MAXIMUM_BYTES + 1)
        text = content.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # The cause would carry the bytes.
        raise ConfigError(f"{path}: {what} is no UTF-8 text; write it as such") from None
    text = text.removesuffix("\n").removesuffix("\r")
    if not text or len(content) > _MAXIMUM_BYTES:
        size = "empty" if not text else "too large"
        raise ConfigError(f"{path}: {what} should stand here, and the file is {size}")
    return text


def exposed(paths: Iterable[Path | None]) -> list[str]:
    """A remark for each file that everybody on this machine may read; missing ones are none."""
    remarks = []
    for path in paths:
        try:
            if path is not None and path.stat().st_mode & stat.S_IROTH:
                remarks.append(
                    f"{path}: everybody on this machine may read this secret; run "
                    f"'chmod o-r {path}' (in Kubernetes: defaultMode 0440)"
                )
        except OSError:
            continue  # whoever reads it tells
    return remarks

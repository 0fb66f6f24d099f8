"""The key of all pseudonyms: read by reference, or made once and kept."""

from __future__ import annotations

import hashlib
import os
import secrets
from typing import TYPE_CHECKING, Final

from pydantic import SecretBytes

from pipeline.model.errors import ConfigError, StateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipeline.runtime.config import Privacy

KEY_VARIABLE: Final = "OUTRIDER_PRIVACY_KEY"
KEY_BYTES: Final = 32
MINIMUM_BYTES: Final = 16  # 128 bits: below that, hashes of known names can be searched
_MAXIMUM_BYTES: Final = 4096  # a larger file is a wrong path, not a key


def privacy_key(
    privacy: Privacy, out: Path, *, environ: Mapping[str, str] | None = None
) -> SecretBytes:
    """The 32-byte key under which users, mailboxes and networks are hashed.

    Taken from ``privacy.key_file``, else from ``OUTRIDER_PRIVACY_KEY``, else from
    ``out/.outrider/key``, which is made with mode 0600 when it is not there: so a resumed
    run, and every later run into the same folder, gives the same hashes. The text is
    reduced to 32 bytes with BLAKE2b; its repr shows no byte of it.

    Raises:
        ConfigError: the key cannot be read or is too short, or names are to be revealed
            under a key that nobody chose.
        StateError: the key made earlier is damaged.
    """
    given = (os.environ if environ is None else environ).get(KEY_VARIABLE)
    if privacy.key_file is not None:
        return _derive(_read(privacy.key_file), f"{privacy.key_file}", ConfigError)
    if given is not None:
        return _derive(given.encode(), f"environment variable {KEY_VARIABLE}", ConfigError)
    if privacy.reveal_users:
        raise ConfigError(
            "revealing users needs a key of your own: name it with privacy.key_file or "
            f"{KEY_VARIABLE}, or a backfill's with --key-file"
        )
    return _derive(*_made_once(out / ".outrider" / "key"), StateError)


def _derive(material: bytes, where: str, error: type[Exception]) -> SecretBytes:
    material = material.strip()
    if not MINIMUM_BYTES <= len(material) <= _MAXIMUM_BYTES:
        raise error(
            f"{where}: a key has {MINIMUM_BYTES} to {_MAXIMUM_BYTES} bytes, this one has "
            f"{len(material)}; make one with: openssl rand -hex 32"
        )
    digest = hashlib.blake2b(material, digest_size=KEY_BYTES, person=b"outrider-key").digest()
    return SecretBytes(digest)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAXIMUM_BYTES + 2)
    except OSError as error:
        raise ConfigError(f"{path}: the key file cannot be read: {error.strerror}") from error


def _made_once(path: Path) -> tuple[bytes, str]:
    """Read the key, or make it so that a kill at any moment leaves a whole key or none."""
    try:
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = path.with_name(f"key.{secrets.token_hex(4)}")
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_hex(KEY_BYTES).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            _keep_first(draft, path)
        return path.read_bytes(), f"{path}"
    except OSError as error:
        raise ConfigError(
            f"{path}: the key of the pseudonyms cannot be kept: {error.strerror}; "
            "name a folder that can be written, or a key with privacy.key_file"
        ) from error


def _keep_first(draft: Path, path: Path) -> None:
    """Give ``draft`` the name ``path`` unless another run was faster."""
    try:
        os.link(draft, path)  # fails, unlike rename, when the name is taken
    except FileExistsError:
        pass
    except OSError:  # a file system without hard links
        draft.replace(path)
    draft.unlink(missing_ok=True)

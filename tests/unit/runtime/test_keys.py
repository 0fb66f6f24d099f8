import stat
import threading
from pathlib import Path

import pytest

from pipeline.model.errors import ConfigError, StateError
from pipeline.runtime.config import Privacy
from pipeline.runtime.keys import KEY_VARIABLE, privacy_key


def test_a_key_is_made_once_for_the_owner_only(tmp_path: Path) -> None:
    first = privacy_key(Privacy(), tmp_path, environ={})
    path = tmp_path / ".outrider" / "key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert privacy_key(Privacy(), tmp_path, environ={}) == first
    assert len(first.get_secret_value()) == 32
    assert [p.name for p in path.parent.iterdir()] == ["key"]


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    one = privacy_key(Privacy(), tmp_path / "a", environ={})
    assert one != privacy_key(Privacy(), tmp_path / "b", environ={})


def test_runs_that_start_together_agree(tmp_path: Path) -> None:
    found: list[bytes] = []

    def run() -> None:
        found.append(privacy_key(Privacy(), tmp_path, environ={}).get_secret_value())

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_file_goes_before_environment_and_a_newline_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"0123456789abcdef\n")
    privacy = Privacy(key_file=tmp_path / "k")
    from_file = privacy_key(privacy, tmp_path, environ={KEY_VARIABLE: "f" * 32})
    assert from_file == privacy_key(Privacy(), tmp_path, environ={KEY_VARIABLE: "0123456789abcdef"})
    assert not (tmp_path / ".outrider").exists()


def test_a_short_or_missing_key_is_an_error_without_its_text(tmp_path: Path) -> None:
    (tmp_path / "k").write_bytes(b"hunter2")
    with pytest.raises(ConfigError, match="this one has 7; make one") as caught:
        privacy_key(Privacy(key_file=tmp_path / "k"), tmp_path, environ={})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(ConfigError, match="cannot be read"):
        privacy_key(Privacy(key_file=tmp_path / "no"), tmp_path, environ={})
    with pytest.raises(ConfigError, match=KEY_VARIABLE):
        privacy_key(Privacy(), tmp_path, environ={KEY_VARIABLE: ""})


def test_a_damaged_own_key_is_not_silently_replaced(tmp_path: Path) -> None:
    privacy_key(Privacy(), tmp_path, environ={})
    (tmp_path / ".outrider" / "key").write_bytes(b"")
    with pytest.raises(StateError, match="this one has 0"):
        privacy_key(Privacy(), tmp_path, environ={})


def test_revealing_needs_a_key_that_somebody_chose(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="key of your own"):
        privacy_key(Privacy(reveal_users=True), tmp_path, environ={})
    assert privacy_key(Privacy(reveal_users=True), tmp_path, environ={KEY_VARIABLE: "f" * 32})


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be kept") as caught:
        privacy_key(Privacy(), tmp_path / "out", environ={})
    # Each command has its own option for the folder, and most have none for the key.
    assert "--" not in str(caught.value)
    assert str(caught.value).endswith(
        "Not a directory; name a folder that can be written, or a key with privacy.key_file"
    )


def test_the_key_is_in_no_repr(tmp_path: Path) -> None:
    key = privacy_key(Privacy(), tmp_path, environ={KEY_VARIABLE: "f" * 32})
    assert key.get_secret_value().hex() not in f"{key} {key!r}"
    assert "\\x" not in repr(key)

"""Keys from files and variables, and texts without them."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from video_pipeline.engine.errors import ConfigError
from video_pipeline.engine.net.secret import Secret, find_secret, hide_secrets

VALUE = "sk-0123/4567+89=="


def found(folder: Path | None = None, **environ: str) -> Secret | None:
    return find_secret("tts.key_file", file=folder, variables=("A_KEY", "B_KEY"), environ=environ)


def test_a_file_goes_before_the_variables_and_the_first_variable_before_the_second(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(f"{VALUE}\n")
    for secret, origin in (
        (found(path, A_KEY="other"), f"file {path}"),
        (found(A_KEY=VALUE, B_KEY="other"), "environment variable A_KEY"),
        (found(A_KEY="", B_KEY=VALUE), "environment variable B_KEY"),
    ):
        assert secret is not None
        assert (secret.reveal(), secret.origin) == (VALUE, origin)
    assert found() is None


@pytest.mark.parametrize("text", ["", " \n", "two\nlines", "a b", "é", "x" * 20_000, "a\x00b"])
def test_what_is_no_key_is_an_error_that_does_not_show_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"^tts\.key_file: ") as caught:
        found(path)
    assert "lines" not in str(caught.value)
    if text.strip():
        with pytest.raises(ConfigError, match=r"^environment variable A_KEY: "):
            found(A_KEY=text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=rf"{tmp_path / 'gone'} cannot be read: No such file"):
        found(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        found(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read: it is not text"):
        found(tmp_path / "binary")


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret(VALUE, "file x")
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]!r}"):
        assert VALUE not in shown
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)


def test_a_quoted_secret_is_hidden_plain_and_in_urls() -> None:
    text = f"GET /?key=sk-0123%2F4567%2B89%3D%3D and {VALUE}."
    assert hide_secrets(text, [Secret(VALUE, "x")]) == "GET /?key=*** and ***."

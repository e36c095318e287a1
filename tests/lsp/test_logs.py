"""The log is written where it can be, never stops the server and holds no user code."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from codegeex_lsp.config import logs

USER_CODE = "my_own_code"
OURS = logging.getLogger("codegeex_lsp.somewhere")


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Logging into a folder of the test; afterwards as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("CODEGEEX_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield tmp_path / "state"
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in logs.OUR_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)


def fail() -> None:
    raise ValueError(USER_CODE)


def log_everything() -> None:
    """What could bring user code into a log: arguments and exceptions, ours and a library's."""
    for logger in (OURS, logging.getLogger("pygls.protocol"), logging.getLogger("asyncio")):
        try:
            fail()
        except ValueError:
            logger.exception("It failed.\n%s", USER_CODE if logger is not OURS else "")
    logging.getLogger("pygls.protocol").info("Sending data: %s", USER_CODE)


def test_the_log_is_a_file_in_the_state_folder(state: Path) -> None:
    assert logs.configure("info") == state / "codegeex-lsp.log"
    OURS.info("hello %d", 1)
    OURS.debug("not this")
    text = (state / "codegeex-lsp.log").read_text()
    assert "INFO codegeex_lsp.somewhere: hello 1" in text
    assert "not this" not in text


def test_user_code_stays_out(state: Path) -> None:
    logs.configure("info")
    log_everything()
    text = (state / "codegeex-lsp.log").read_text()
    assert USER_CODE not in text
    assert text.count("It failed.") == 3
    assert text.count(f"{__file__}:") == 6
    assert text.count("ValueError") == 3


def test_what_nobody_catches_is_logged_like_the_rest(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Unraisable:
        def __del__(self) -> None:
            fail()

    logs.configure("info")
    thread = threading.Thread(target=fail)
    thread.start()
    thread.join(10)
    Unraisable()
    text = (state / "codegeex-lsp.log").read_text()
    assert text.count("ValueError") == 2
    assert text.count(f"{__file__}:") >= 2
    assert USER_CODE not in text + capsys.readouterr().err


def test_libraries_never_log_their_messages_even_at_debug(state: Path) -> None:
    logs.configure("debug")
    log_everything()
    text = (state / "codegeex-lsp.log").read_text()
    assert "Sending data" not in text
    assert f"ValueError: {USER_CODE}" in text  # debug shows what exceptions say


def test_the_file_rotates(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    logs.configure("info")
    for number in range(200):
        OURS.info("line %d", number)
    names = sorted(path.name for path in state.iterdir())
    assert names == [f"codegeex-lsp.log{end}" for end in ("", ".1", ".2")]
    assert all(path.stat().st_size <= 2000 for path in state.iterdir())


def test_a_folder_that_cannot_be_made_means_stderr(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.write_text("a file where the folder should be")
    assert logs.configure("info") is None
    OURS.info("hello")
    assert "hello" in capsys.readouterr().err


def test_a_full_disk_means_stderr(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full to stand for a full disk")
    state.mkdir()
    (state / "codegeex-lsp.log").symlink_to("/dev/full")
    logs.configure("info")
    OURS.info("hello")
    assert "hello" in capsys.readouterr().err
    handler = logging.getLogger().handlers[0]
    with pytest.raises(OSError, match="No space"):
        handler.close()


def test_half_an_emoji_can_be_logged(state: Path) -> None:
    logs.configure("info")
    OURS.info("file:///\ud83d.py")
    assert "\\ud83d" in (state / "codegeex-lsp.log").read_text()

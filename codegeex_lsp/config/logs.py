"""Where the language server writes its log, and what may stand in it.

The log is a rotating file in the user's state folder; when it can't be written, records go to
stderr instead and the server goes on. User code stays out: our own messages hold none, messages of
libraries lose their arguments, and tracebacks lose the exception's text, except at level debug.
Called by `serve` before anything else is logged.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType

import platformdirs

LOG_NAME = "codegeex-lsp.log"
MAX_BYTES = 1_000_000
OLD_FILES = 2
OUR_LOGGERS = ("codegeex_lsp", "model_runtime")

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def log_directory() -> Path:
    """The folder of the log; it need not exist."""
    if chosen := os.environ.get("CODEGEEX_STATE_DIR"):
        return Path(chosen)
    return Path(platformdirs.user_state_path("codegeex", appauthor=False))


def configure(level: str) -> Path | None:
    """Send all logging to the log file; answers its path, None when it has to be stderr.

    `level` is one of "debug", "info", "warning", "error" and holds for our own records; libraries
    never log below warning.
    """
    threshold = logging.getLevelNamesMapping()[level.upper()]
    path = log_directory() / LOG_NAME
    handler = _file_handler(path) or logging.StreamHandler(sys.stderr)
    handler.setFormatter(SafeFormatter(with_text=threshold <= logging.DEBUG))
    handler.addFilter(without_library_arguments)
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for name in OUR_LOGGERS:
        logging.getLogger(name).setLevel(threshold)
    threading.excepthook = lambda it: _log_uncaught("a thread ended", it.exc_value)
    sys.unraisablehook = lambda it: _log_uncaught("something went wrong aside", it.exc_value)
    return path if isinstance(handler, LogFile) else None


def _log_uncaught(what: str, error: BaseException | None) -> None:
    """What would go to stderr with its text, where editors show it."""
    logging.getLogger(OUR_LOGGERS[0]).error(what, exc_info=error)


def _file_handler(path: Path) -> logging.Handler | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return LogFile(path)
    except OSError:
        return None


class LogFile(RotatingFileHandler):
    """The rotating file. A record that can't be written (a full disk, say) goes to stderr."""

    def __init__(self, path: Path) -> None:
        super().__init__(
            path,
            maxBytes=MAX_BYTES,
            backupCount=OLD_FILES,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        try:
            sys.stderr.write(self.format(record) + "\n")
        except (OSError, ValueError, AttributeError):
            return  # stderr is closed or absent as well: nobody is left to tell


class SafeFormatter(logging.Formatter):
    """One line a record. Tracebacks show places; what an exception says may quote user code."""

    def __init__(self, *, with_text: bool) -> None:
        super().__init__("%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s")
        self._with_text = with_text

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802  logging's own name
        kind, _, trace = ei
        if self._with_text or kind is None:
            return super().formatException(ei)
        frames = traceback.extract_tb(trace)
        places = [f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames]
        return "\n".join([*places, f"  {kind.__name__}"])


def without_library_arguments(record: logging.LogRecord) -> bool:
    """A filter that keeps every record and empties those of libraries: pygls and asyncio put
    message bodies and exception texts into their arguments."""
    if not record.name.startswith(OUR_LOGGERS):
        record.args = ()
        record.msg = str(record.msg).partition("\n")[0]
    return True

"""The runtime's log: bounded in size and free of the user's text.

Exceptions are logged by type and place only, because a message or a source line may hold code that
somebody typed. The daemon sets it up, the engine writes its failures through it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES = 512 * 1024
LOG = logging.getLogger("codegeex.runtime")


def set_up(path: Path | None) -> None:
    """Log to `path`, which with its one predecessor never grows over 1 MiB; None is stderr."""
    handler: logging.Handler = logging.StreamHandler()
    if path is not None:
        handler = RotatingFileHandler(
            path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8", delay=True
        )
    handler.setFormatter(logging.Formatter("%(asctime)s %(process)d %(levelname)s %(message)s"))
    LOG.addHandler(handler)
    LOG.setLevel(logging.INFO)
    LOG.propagate = False


def catch_the_rest(path: Path | None) -> None:
    """Log what nobody catches, in whatever thread, by type and place as well.

    With `path` the places of a crash of the interpreter go there, and what libraries print to
    stderr goes nowhere: a panic in Rust prints the text that it came from.
    """
    sys.excepthook = lambda _, error, trace: failure("the process ended", error)
    threading.excepthook = lambda what: failure("a thread ended", what.exc_value)
    sys.unraisablehook = lambda what: failure("something went wrong aside", what.exc_value)
    if path is not None:
        faulthandler.enable(path.open("ab"))
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.__stderr__.fileno() if sys.__stderr__ else 2)
        os.close(nowhere)


def failure(what: str, error: BaseException | None) -> None:
    """Log where an exception came from, without its message and without source lines."""
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    places = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames)
    LOG.error("%s: %s at %s", what, type(error).__name__, places)

"""Change one setting in the user's configuration file and leave all else in it as it is.

model_runtime/wire/configuration.py reads that file; this is the only place that writes it, and only
on the user's command.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import tomlkit
from tomlkit.exceptions import TOMLKitError

from model_runtime.wire.configuration import ConfigurationError, user_text


def set_model(path: Path, model: str, setting: str = "model") -> None:
    """Set `setting`, keeping comments, order and other settings.

    Raises ConfigurationError, and leaves the file as it was then.
    """
    path = Path(os.path.realpath(path))  # a link to the file stays a link
    try:
        document = tomlkit.parse(user_text(path))
        document[setting] = model
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, tomlkit.dumps(document))
    except OSError as error:
        raise ConfigurationError(f"{path} can't be changed: {error.strerror}.") from error
    except (TOMLKitError, ValueError) as error:
        raise ConfigurationError(f"{path} is not valid TOML; correct it first: {error}.") from error


def _replace(path: Path, text: str) -> None:
    """In one step: whoever reads at the same time sees the old file or the new one."""
    mode = path.stat().st_mode & 0o777 if path.exists() else 0o644
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=".config.", delete=False
    ) as file:
        file.write(text)
    try:
        os.chmod(file.name, mode)
        os.replace(file.name, path)
    except OSError:
        os.unlink(file.name)
        raise

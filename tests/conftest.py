"""The test run's own options."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-editors",
        action="store_true",
        help="also test in Emacs, Helix and old versions of Neovim",
    )

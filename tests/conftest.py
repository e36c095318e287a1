"""The test run's own options."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-editors",
        action="store_true",
        help="also test in Emacs, Helix and old versions of Neovim",
    )
    parser.addoption(
        "--full-size",
        action="store_true",
        help="drills with as many files as they are meant for, which take minutes",
    )

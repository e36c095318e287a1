"""What the pages name is there: linked places, files, commands, figures."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("codegeex_lsp", "docs", "editors", "model_runtime", "scripts", "tests")
PAGES = sorted(
    page
    for page in [*ROOT.glob("*.md"), *(it for top in FOLDERS for it in (ROOT / top).rglob("*.md"))]
    if "node_modules" not in page.parts
)
PROGRAMS = {
    "codegeex-lsp": "codegeex_lsp",
    "codegeex-runtime": "model_runtime",
    "codegeex-eval": "model_runtime.evaluation",
}


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def anchors(page: Path) -> set[str]:
    """Its headings as the parts of an address that a link may end with."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", it).lower().replace(" ", "-") for it in headings}


def dead_links(page: Path) -> Iterator[str]:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        name, _, anchor = link.partition("#")
        place = page.parent / name if name else page
        if "://" not in link and (not place.exists() or (anchor and anchor not in anchors(place))):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert not list(dead_links(page))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_pages_name_only_files_that_exist(page: Path) -> None:
    """Every path in backquotes that looks like one of ours must be there."""
    words = page.read_text(encoding="utf-8").split("`")[1::2]
    ours = [word.split()[0] for word in words if word.startswith(tuple(f"{it}/" for it in FOLDERS))]
    assert not [path for path in ours if not (ROOT / path).exists()]


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_page_of_commands_has_all_of_them(program: str) -> None:
    asked = [sys.executable, "-m", PROGRAMS[program], "--help"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    rows = [
        row for row in text_of("docs/commands.md").splitlines() if row.startswith(f"| `{program}")
    ]
    named = {
        words[0]
        for row in rows
        for cell in re.findall(r"`([^`]+)`", row.split("|")[1])
        if (words := cell.removeprefix(program).split())
    }
    assert named >= set(re.findall(r"^ {4}(\S+)", done.stdout, re.MULTILINE))


def test_the_readmes_figures_stand_on_the_page_of_figures() -> None:
    figures = re.findall(r"[\d.]+ (?:%|ms)", text_of("README.md"))
    assert figures
    assert not [it for it in figures if it not in text_of("docs/figures.md")]

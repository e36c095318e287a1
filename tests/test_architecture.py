"""The walls of ARCHITECTURE.md, held by reading and by importing the code."""

from __future__ import annotations

import ast
import graphlib
import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from pygls.lsp.server import LanguageServer
from pygls.protocol import LanguageServerProtocol

import codegeex_lsp
import model_runtime
from codegeex_lsp.lsp import rules, server

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {"torch", "transformers", "numpy", "tokenizers", "safetensors"}

# The floors of each package, top to bottom: a file imports rooms of lower floors only, and of them
# what the `__all__` of their `__init__` names, their door. The files beside the rooms stand here by
# their own names.
FLOORS = {
    "codegeex_lsp": (
        ("__main__",),
        ("commands",),
        ("server",),
        ("handlers",),
        ("window",),
        ("actions", "completion", "workspace"),
        ("index", "lsp", "runtime"),
        ("config", "exclusion"),
        ("__init__", "files", "text"),
    ),
    "model_runtime": (
        ("__main__",),
        ("bench", "commands", "evaluation", "serving"),
        ("conversion", "engine"),
        ("folders",),
        ("decoding",),
        ("networks", "prompts", "recall"),
        ("device", "hub", "text", "wire"),
        ("reading",),
        ("__init__", "arguments", "errors", "installing", "logs", "options"),
    ),
}
MOST_FLOORS, MOST_ROOMS = 9, 25
LONGEST_INIT = 30


def imports_of(path: Path) -> set[str]:
    """Every module a file imports, anywhere in it, dotted."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room_of(module: str) -> str:
    """The folder or file right below the package; a name the package itself has is __init__'s."""
    package, *inside = module.split(".")
    here = ROOT / package
    if inside and ((here / inside[0]).is_dir() or (here / f"{inside[0]}.py").is_file()):
        return inside[0]
    return "__init__"


def arrows(package: str) -> list[tuple[str, str]]:
    """Who imports what of the same package, from module to module or to a name in one."""
    return [
        (module_of(path), target)
        for path in sources(package)
        for target in sorted(imports_of(path))
        if target.split(".")[0] == package
    ]


@pytest.mark.parametrize("package", FLOORS)
def test_every_room_has_its_floor(package: str) -> None:
    floors = FLOORS[package]
    rooms = [room for floor in floors for room in floor]
    assert sorted(rooms) == sorted({room_of(module_of(path)) for path in sources(package)})
    assert len(floors) <= MOST_FLOORS
    assert len(rooms) <= MOST_ROOMS


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_import_downward_only(package: str) -> None:
    height = {room: -n for n, floor in enumerate(FLOORS[package]) for room in floor}
    wrong = [
        f"{module} -> {target}"
        for module, target in arrows(package)
        if (here := room_of(module)) != (there := room_of(target)) and height[here] <= height[there]
    ]
    assert not wrong


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_are_entered_by_their_doors(package: str) -> None:
    past = []
    for module, target in arrows(package):
        room = room_of(target)
        if room == room_of(module) or not (ROOT / package / room).is_dir():
            continue
        door = importlib.import_module(f"{package}.{room}").__all__
        if target.split(".")[2] not in door:
            past.append(f"{module} -> {target}")
    assert not past


@pytest.mark.parametrize("package", FLOORS)
def test_no_import_goes_in_a_circle(package: str) -> None:
    modules = {module_of(path) for path in sources(package)}
    graph: dict[str, set[str]] = {module: set() for module in modules}
    for module, target in arrows(package):
        found = target if target in modules else target.rpartition(".")[0]
        if found != module and found != package:
            graph[module].add(found)
    list(graphlib.TopologicalSorter(graph).static_order())  # raises CycleError


@pytest.mark.parametrize(
    "path", [it for top in FLOORS for it in sources(top) if it.name == "__init__.py"], ids=str
)
def test_a_room_says_in_a_few_lines_what_it_knows(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith('"""')
    assert len(text.splitlines()) < LONGEST_INIT


@pytest.mark.parametrize("path", sources("codegeex_lsp"), ids=str)
def test_language_server_knows_only_the_wire_of_the_runtime(path: Path) -> None:
    for module in imports_of(path):
        parts = module.split(".")
        assert parts[0] not in HEAVY, module
        if parts[0] == "model_runtime":
            assert parts[1] == "wire", module


@pytest.mark.parametrize("path", sources("model_runtime"), ids=str)
def test_runtime_knows_no_editor(path: Path) -> None:
    roots = {module.split(".")[0] for module in imports_of(path)}
    assert not roots & {"pygls", "lsprotocol", "codegeex_lsp"}


def test_lsp_types_stay_where_lsp_is_spoken() -> None:
    for path in sources("codegeex_lsp"):
        if room_of(module_of(path)) not in {"handlers", "lsp", "server", "window"}:
            roots = {module.split(".")[0] for module in imports_of(path)}
            assert not roots & {"lsprotocol", "pygls"}, path


def modules_after_import(module: str) -> set[str]:
    script = f"import sys, {module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_the_server_leaves_models_and_what_is_slow_out() -> None:
    """The index's process and some commands need the others; a window opens without them."""
    slow = {"chardet", "sqlite3", "http", "email", "tomlkit"}
    assert not modules_after_import("codegeex_lsp.server") & (HEAVY | slow)


@pytest.mark.parametrize("module", ["serving.daemon", "engine.scheduler", "__main__"])
def test_importing_the_runtime_front_leaves_torch_and_editors_out(module: str) -> None:
    loaded = modules_after_import(f"model_runtime.{module}")
    assert not loaded & (HEAVY | {"pygls", "lsprotocol", "codegeex_lsp"})


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert codegeex_lsp.__version__ == model_runtime.__version__ == project["version"]


def test_what_is_overridden_of_pygls_stands_in_a_table_with_its_reason() -> None:
    def overridden(ours: type, theirs: type) -> set[str]:
        inherited = {name for base in theirs.__mro__[:-1] for name in vars(base)}
        return {name for name in vars(ours) if name in inherited and not name.startswith("__")}

    found = overridden(server.HardenedServer, LanguageServer)
    for ours in (rules.MessageRules, server.HardenedProtocol):
        found |= overridden(ours, LanguageServerProtocol)
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = text.split("| what of pygls is overridden |")[1].split("\n\n")[0].splitlines()[2:]
    assert found == {name for row in rows for name in row.rsplit(" | ", 1)[0].split("`")[1::2]}

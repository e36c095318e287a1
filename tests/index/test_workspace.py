"""The store in step with the files, whatever happens to them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from codegeex_lsp.exclusion.left_out import LeftOut
from codegeex_lsp.index import store as stores
from codegeex_lsp.index.files import Bounds
from codegeex_lsp.index.store import CancelledSearchError, Store
from codegeex_lsp.index.workspace import Workspace


def never() -> bool:
    return False


def workspace(
    root: Path, path: Path | str = ":memory:", exclude: Sequence[str] = (), **bounds: int
) -> Workspace:
    return Workspace(Store(path), [str(root)], Bounds(**bounds), exclude=exclude)


def built(root: Path, exclude: Sequence[str] = (), **bounds: int) -> Workspace:
    made = workspace(root, exclude=exclude, **bounds)
    assert made.walk()
    return made


def found(one: Workspace, question: str, limit: int = 10, under: str = "") -> list[str]:
    return [Path(place.path).name for place in one.search(question, limit, under, never)]


def holds(one: Workspace) -> list[Any]:
    """All that can be found, with scores: what a store knows of its files."""
    words = "alpha beta gamma delta common def return"
    places = one.search(words, 1000, "", never)
    return [(p.path, p.first, p.last, p.title, p.text, round(p.score, 9)) for p in places]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    (folder / "sub").mkdir(parents=True)
    (folder / "alpha.py").write_text("def alpha(common):\n    return common\n")
    (folder / "beta.py").write_text("class Beta:\n    def gamma(self):\n        return 'delta'\n")
    (folder / "sub" / "gamma.py").write_text("def gammaDelta():\n    return alpha(1)\n")
    return folder


def test_a_name_finds_its_definition_first(root: Path) -> None:
    assert found(built(root), "alpha") == ["alpha.py", "gamma.py"]
    assert found(built(root), "gamma delta")[0] == "gamma.py"


def test_a_search_in_one_folder_or_file(root: Path) -> None:
    one = built(root)
    assert found(one, "alpha", under=str(root / "sub")) == ["gamma.py"]
    assert found(one, "alpha", under=str(root / "alpha.py")) == ["alpha.py"]
    assert found(one, "alpha", under=str(root / "su")) == []


def test_a_question_may_hold_anything(root: Path) -> None:
    one = built(root)
    for question in ('"alpha', "alpha*", "NEAR(alpha beta)", "path:alpha", "a' OR 1=1 --", "\0"):
        found(one, question)
    assert found(one, '"alpha" AND (')[0] == "alpha.py"


def test_equal_scores_are_ordered_by_path(root: Path) -> None:
    for name in ("c", "a", "b"):
        (root / f"{name}.py").write_text("def same():\n    pass\n")
    assert found(built(root), "same") == ["a.py", "b.py", "c.py"]


def test_code_alike_is_found_in_other_files_only(root: Path) -> None:
    places = built(root).alike("alpha(common)", str(root / "alpha.py"), 5, never)
    assert [Path(place.path).name for place in places] == ["gamma.py"]


def test_a_cancelled_search_stops(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "STEPS", 1)
    one = built(root)
    with pytest.raises(CancelledSearchError):
        one.search("alpha", 5, "", lambda: True)
    assert found(one, "alpha")


def test_updates_lead_where_a_fresh_build_does(root: Path) -> None:
    """Files are written, moved and deleted at random, singly and by folder."""
    chosen = random.Random(3)
    one = built(root)
    names = ["alpha", "beta", "gamma", "delta", "common"]
    for step in range(40):
        path = root / chosen.choice(["", "sub", "new"]) / f"{chosen.choice(names)}.py"
        told = [path]
        match chosen.choice(["write", "write", "delete", "move", "folder"]):
            case "write":
                path.parent.mkdir(exist_ok=True)
                body = " + ".join(chosen.choices(names, k=3))
                path.write_text(f"def {chosen.choice(names)}_{step}():\n    return {body}\n")
            case "delete":
                path.unlink(missing_ok=True)
            case "move" if path.exists():
                told.append(path.with_name(f"moved{step}.py"))
                path.rename(told[1])
            case _:
                told = [root / "new"]
                shutil.rmtree(root / "new", ignore_errors=True)
        if one.changed([str(name) for name in told]):
            one.walk()
    assert holds(one) == holds(built(root))


def test_a_file_that_becomes_a_link_goes_and_what_is_written_through_it_is_found(
    root: Path,
) -> None:
    one = built(root)
    (root / "alpha.py").unlink()
    (root / "alpha.py").symlink_to(root / "beta.py")
    (root / "alpha.py").write_text("def epsilon():\n    pass\n")
    one.changed([str(root / "alpha.py")])
    assert holds(one) == holds(built(root))
    assert found(one, "epsilon") == ["beta.py"]


def test_a_walk_finds_what_nobody_told(root: Path, tmp_path: Path) -> None:
    one = workspace(root, tmp_path / "index.db")
    one.walk()
    (root / "alpha.py").write_text("def alpha_two():\n    return 2\n")
    (root / "beta.py").unlink()
    again = workspace(root, tmp_path / "index.db")
    again.walk()
    assert holds(again) == holds(built(root))


def test_an_ignore_file_that_changes_needs_a_walk(root: Path) -> None:
    one = built(root)
    (root / ".gitignore").write_text("sub/")
    assert one.changed([str(root / ".gitignore")])
    one.walk()
    assert found(one, "alpha") == ["alpha.py"]


def test_an_open_document_counts_as_it_is_in_the_editor(root: Path) -> None:
    one = built(root)
    one.opened(str(root / "alpha.py"), "def omega():\n    pass\n")
    assert found(one, "omega") == ["alpha.py"]
    one.walk()
    assert found(one, "omega") == ["alpha.py"]
    one.closed(str(root / "alpha.py"))
    assert holds(one) == holds(built(root))


def test_an_open_document_that_is_ignored_or_outside_stays_out(root: Path, tmp_path: Path) -> None:
    (root / ".gitignore").write_text("alpha.py")
    (tmp_path / "outside.py").write_text("")
    one = built(root)
    one.opened(str(root / "alpha.py"), "def omega():\n    pass\n")
    one.opened(str(tmp_path / "outside.py"), "def omega():\n    pass\n")
    assert found(one, "omega") == []


def test_a_file_is_taken_without_the_secrets_in_it(root: Path) -> None:
    one = built(root)
    (root / "alpha.py").write_text(f"alpha = 'ghp_{'k3Zq9' * 7}'\n")
    one.changed([str(root / "alpha.py")])
    [place] = one.search("alpha", 10, str(root / "alpha.py"), never)
    assert place.text == "alpha = ''"
    one.opened(str(root / "alpha.py"), f"alpha = 'glpat-{'k3Zq9' * 4}'\n\nomega = 2\n")
    [place] = one.search("omega", 10, str(root / "alpha.py"), never)
    assert place.text == "alpha = ''\n\nomega = 2"


def test_the_users_globs_take_files_out_at_once(root: Path) -> None:
    one = built(root)
    one.exclude(["sub", "b*.{py,go}"])
    assert found(one, "alpha gamma") == ["alpha.py"]  # the walk comes later
    one.walk()
    assert holds(one) == holds(built(root, exclude=["sub", "b*.{py,go}"]))
    one.exclude([])
    one.walk()
    assert holds(one) == holds(built(root))


def test_what_is_ignored_now_is_found_no_more_before_the_walk(root: Path) -> None:
    one = built(root)
    (root / ".gitignore").write_text("sub/\n")
    assert found(one, "alpha") == ["alpha.py"]
    assert one.alike("gammaDelta", str(root / "new.py"), 5, never)[0].path.endswith("beta.py")


def test_nothing_of_a_file_stays_that_is_left_out_now(root: Path, tmp_path: Path) -> None:
    """Not even in the pages of the database that are free, or in the words to search."""
    (root / "alpha.py").write_text("def quinfarble():\n    return 'zulomandric'\n")
    one = workspace(root, tmp_path / "index.db")
    one.walk()
    one.exclude(["alpha.py"])
    one.walk()
    written = b"".join(path.read_bytes() for path in tmp_path.glob("index.db*"))
    assert b"quinfarble" not in written.lower()
    assert b"zulomandric" not in written.lower()
    assert b"gamma" in written.lower()


def test_environments_stay_out_whatever_they_are_called(root: Path) -> None:
    """One of Python's, of conda, a cache that says so, and what package managers fill."""
    code = "def alpha():\n    pass\n"
    for folder in ("myenv", "conda", "cache", "lib/site-packages", "node_modules/x", ".nox/lint"):
        (root / folder / "deep").mkdir(parents=True)
        (root / folder / "deep" / "module.py").write_text(code)
    (root / "myenv" / "pyvenv.cfg").touch()
    (root / "conda" / "conda-meta").mkdir()
    (root / "cache" / "CACHEDIR.TAG").touch()
    (root / "environment").mkdir()
    (root / "environment" / "ours.py").write_text(code)
    one = built(root)
    assert "ours.py" in found(one, "alpha")
    assert "module.py" not in found(one, "alpha")
    assert one.left_out[LeftOut.ENVIRONMENT] == 6
    one.changed([str(path) for path in root.rglob("module.py")])
    assert "module.py" not in found(one, "alpha")


def test_an_environment_that_was_opened_itself_is_taken(root: Path) -> None:
    (root / "pyvenv.cfg").touch()
    assert found(built(root), "alpha")


def test_bounds_hold(root: Path) -> None:
    one = built(root, files=2)
    assert one.sizes[0] == 2
    assert one.left_out[LeftOut.TOO_MANY]
    (root / "new.py").write_text("def new():\n    pass\n")
    one.changed([str(root / "new.py")])
    assert one.sizes[0] == 2


def test_a_damaged_or_older_database_is_made_anew(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    path.write_bytes(b"this is no database" * 1000)
    one = workspace(root, path)
    one.walk()
    assert found(one, "alpha")


def test_a_python_without_fts5_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stores, "has_fts5", lambda: False)
    with pytest.raises(stores.NoSearchError, match="FTS5"):
        Store(":memory:")


def test_neighbours_are_the_nearest_files_of_the_language_the_nearest_last(root: Path) -> None:
    for name, written in (("near.py", 3), ("older.py", 2), ("sub/deep/far.py", 4), ("near.go", 5)):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("package or_not\n")
        os.utime(root / name, ns=(written, written))
    for name in ("alpha.py", "beta.py", "sub/gamma.py"):
        os.utime(root / name, ns=(1, 1))
    one = built(root)
    one.opened(str(root / "beta.py"), "class Beta: ...\n")
    near = one.neighbours(str(root / "new.py"), 10)
    names = [str(Path(path).relative_to(root)) for path, _ in near]
    assert names == ["sub/deep/far.py", "sub/gamma.py", "alpha.py", "older.py", "near.py"]
    assert near[-1][1] == "package or_not\n"
    assert [path for path, _ in one.neighbours(str(root / "new.py"), 1)] == [str(root / "near.py")]
    below = one.neighbours(str(root / "sub" / "new.py"), 2)
    assert [Path(path).name for path, _ in below] == ["far.py", "gamma.py"]


def test_no_neighbour_is_ignored_secret_or_large(root: Path) -> None:
    one = built(root)
    (root / ".gitignore").write_text("beta.py\n")
    (root / "alpha.py").rename(root / "secrets.py")
    (root / "sub" / "gamma.py").write_text("x = 1\n" * 20_000)
    assert one.neighbours(str(root / "new.py"), 10) == []

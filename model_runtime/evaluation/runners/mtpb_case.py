"""Runs inside the sandbox: executes case.json's program, compares what it printed last with gold.

Exits with the first code when the two are equal as published, with the second when they are equal
as dictionaries or None, of which the published comparison knows nothing, else with the third.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

TOLERANCE = 1e-6
MISSING = object()


def main() -> int:
    equal, equal_by_ours, unequal = map(int, sys.argv[1:])
    case = json.loads(Path("case.json").read_text(encoding="utf-8"))
    printed = last_printed(case["program"])
    if printed is MISSING:
        return unequal
    gold = case["gold"]
    if isinstance(gold, dict) or gold is None:
        return equal_by_ours if bool(printed == gold) else unequal
    return equal if same(plain(printed), gold) else unequal


def last_printed(program: str) -> Any:
    """The first argument of the last print; an expression at the end counts as printed."""
    tree = ast.parse(program)
    if tree.body and isinstance(last := tree.body[-1], ast.Expr) and not is_print(last.value):
        name = ast.Name("print", ast.Load())
        tree.body[-1] = ast.Expr(ast.Call(name, [last.value], []))
    printed = [MISSING]

    def watch(*values: Any, **_: Any) -> None:
        printed[0] = values[0] if values else MISSING

    names = {"__name__": "__main__", "__builtins__": {**vars(builtins), "print": watch}}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile(ast.fix_missing_locations(tree), "program", "exec"), names)  # noqa: S102
    return printed[0]


def is_print(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def plain(value: Any) -> Any:
    """Series to arrays, scalars of numpy to Python's, tuples within lists to lists."""
    if type(value).__name__ == "Series":
        value = value.to_numpy()
    if isinstance(value, list):
        return [list(item) if isinstance(item, tuple) else plain(item) for item in value]
    if (
        type(value).__module__ == "numpy"
        and hasattr(value, "item")
        and not hasattr(value, "__len__")
    ):
        return value.item()
    return value


def same(value: Any, gold: Any) -> bool:
    """As published: cast to gold's type, floats within a tolerance, anything else by ==."""
    if type(value) is not type(gold) and not hasattr(value, "dtype"):
        try:
            value = str(value) == str(gold) if isinstance(gold, bool) else type(gold)(value)
        except (TypeError, ValueError):
            return False
        if isinstance(gold, bool):
            return bool(value)
    if isinstance(gold, float):
        return bool(abs(value - gold) < TOLERANCE)
    if hasattr(value, "dtype") or (isinstance(gold, list) and any_float(gold)):
        return close(value, gold)
    return bool(value == gold)


def any_float(values: list[Any]) -> bool:
    return any(
        isinstance(one, float) or (isinstance(one, list) and any_float(one)) for one in values
    )


def close(value: Any, gold: Any) -> bool:
    import numpy

    try:
        return bool(numpy.allclose(value, gold, atol=TOLERANCE))
    except (TypeError, ValueError):
        return bool(list(value) == gold)


if __name__ == "__main__":
    sys.exit(main())

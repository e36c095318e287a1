"""One HTML file, without anything outside it, and a JSON beside it, from one or more results.

A result is a dictionary as scoring.py and mtpb.py make them. Knows the page, not how results come
about; plots.py draws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from model_runtime import installing
from model_runtime.evaluation import published
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.languages import LANGUAGES

Result = dict[str, Any]


def write(results: Sequence[Result], path: Path) -> None:
    """`path`.json and `path`.html. Raises EvaluationError when the page's libraries are missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(list(results), indent=1, ensure_ascii=False)
    path.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    path.with_suffix(".html").write_text(page(results), encoding="utf-8")


def read(path: Path) -> list[Result]:
    """The results of a JSON file that write() made. Raises EvaluationError."""
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if all(result["benchmark"] in ("humaneval-x", "mtpb") for result in results):
            return list(results)
    except OSError as error:
        raise EvaluationError(f"{path} can't be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        pass
    raise EvaluationError(f"{path} is no result of codegeex-eval; give the JSON file of a run.")


def page(results: Sequence[Result]) -> str:
    """The page's HTML."""
    try:
        import jinja2

        from model_runtime.evaluation import plots
    except ImportError as error:
        how = installing.part("eval")
        raise EvaluationError(f"The report needs {error.name}; run: {how}") from None
    source = resources.files(__package__).joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["percent"] = lambda value: f"{100 * value:.2f}"
    return environment.from_string(source).render(
        generations=_of(results, "generation"),
        translations=_of(results, "translation"),
        mtpb=[result for result in results if result["benchmark"] == "mtpb"],
        translation_scores=translation_scores(results),
        languages={key: language.display for key, language in LANGUAGES.items()},
        published=published,
        plots=plots,
    )


def _of(results: Sequence[Result], task: str) -> list[Result]:
    return [result for result in results if result.get("task") == task]


def translation_scores(results: Sequence[Result]) -> dict[tuple[str, str], float]:
    """pass@1 in percent by source and target."""
    return {
        (result["source"], target): 100 * scores["pass_at_k"]["1"]
        for result in _of(results, "translation")
        for target, scores in result["languages"].items()
    }

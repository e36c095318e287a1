"""`codegeex-eval mtpb`: hold or read the dialogues, execute their programs, count."""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model_runtime.evaluation import mtpb, mtpb_sampling, samples
from model_runtime.evaluation.errors import EvaluationError
from model_runtime.evaluation.execution import Execution, judge
from model_runtime.evaluation.mtpb import Case
from model_runtime.evaluation.progress import progress
from model_runtime.evaluation.runners.mtpb import BY_OURS, MtpbRunner, case_program
from model_runtime.evaluation.samples import Sample
from model_runtime.evaluation.sampling import settings_of
from model_runtime.evaluation.sandbox import limits_held
from model_runtime.evaluation.verdicts import Verdict

Result = dict[str, Any]


def run(options: Namespace) -> Result:
    """One result, as the report wants it. Raises EvaluationError."""
    cases = mtpb.load(options.data / "mtpb" / "mtpb.jsonl")
    variant = mtpb_sampling.SINGLE_TURN if options.single_turn else mtpb_sampling.MULTI_TURN
    path = options.score or _sample(options, cases, variant)
    found = samples.read(path)
    pairs = _match(found, cases, path)
    execution = Execution(options.workers, unsafe=options.unsafe, seconds=options.seconds)
    verdicts = _execute(pairs, execution)
    settings = {name: found[0].settings[name] for name in DRAWN if name in found[0].settings}
    return {
        "benchmark": "mtpb",
        "task": found[0].settings.get("variant", variant),
        "model": options.score.name if options.score else options.model,
        "settings": {"samples": path.name, **settings},
        **summary([case for case, _ in pairs], verdicts),
        "tokens": _tokens(found),
        "isolation": limits_held(bare=options.unsafe),
        "notes": NOTES,
    }


DRAWN = ("temperature", "top_p", "seed", "max_tokens", "way", "top_k", "beams")
NOTES = (
    "Problems 38 and 46 read files that nobody published and can't pass.",
    "By the published comparison no dictionary and no None is right: seven cases can't pass.",
)


def _sample(options: Namespace, cases: Sequence[Case], variant: str) -> Path:
    settings = settings_of(options)
    chosen = [case for case in cases if not options.problems or case.problem <= options.problems]
    path: Path = options.samples or Path(f"samples-mtpb-{variant}.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with progress("talking", len(chosen) * options.number, "dialogue") as drawn:
        asyncio.run(
            mtpb_sampling.sample(
                chosen, options.number, variant, settings, options.device, path, drawn
            )
        )
    return path


def _match(found: Sequence[Sample], cases: Sequence[Case], path: Path) -> list[tuple[Case, str]]:
    """Each program with its case. Raises EvaluationError at the first unknown one."""
    known = {case.name: case for case in cases}
    for sample in found:
        if sample.task_id not in known:
            raise EvaluationError(
                f"{path}, line {sample.line}: there is no case {sample.task_id!r}; "
                "ids are PROBLEM/INPUT, from 1/0 to 115/4."
            )
    return [(known[sample.task_id], sample.generation) for sample in found]


def _execute(pairs: Sequence[tuple[Case, str]], execution: Execution) -> list[Verdict]:
    programs = [case_program(text, case.gold) for case, text in pairs]
    wanted = Counter(programs)
    verdicts = {}
    with progress("running", len(programs), "program") as finished:
        for program, verdict in judge(MtpbRunner, list(wanted), execution):
            verdicts[program] = verdict
            finished(wanted[program])
    return [verdicts[program] for program in programs]


def summary(cases: Sequence[Case], verdicts: Sequence[Verdict]) -> Result:
    """Both countings, what failed, and the score by category (percent, by ours)."""
    pairs = list(zip(cases, verdicts, strict=True))
    published = [case for case, verdict in pairs if verdict.passed and verdict.detail != BY_OURS]
    ours = [case for case, verdict in pairs if verdict.passed]
    runnable = [case for case in cases if case.problem not in mtpb.NOT_RUNNABLE]
    of_category = Counter(case.category for case in runnable)
    passed = Counter(case.category for case in ours)
    return {
        "countings": {
            "as published": _counting(len(published), len(cases)),
            "all types compared, runnable problems": _counting(len(ours), len(runnable)),
        },
        "outcomes": dict(Counter(str(verdict.outcome) for verdict in verdicts).most_common()),
        "categories": [
            [name, 100 * passed[name] / count] for name, count in of_category.most_common()
        ],
    }


def _counting(passed: int, cases: int) -> Result:
    return {"passed": passed, "cases": cases, "score": passed / max(1, cases)}


def _tokens(found: Sequence[Sample]) -> Result:
    """How much of the prompts was in the KV cache; empty for a file that doesn't say."""
    if not all("prompt_tokens" in sample.settings for sample in found):
        return {}
    return {
        "prompt": sum(sample.settings["prompt_tokens"] for sample in found),
        "cached": sum(sample.settings["cached_tokens"] for sample in found),
    }


def lines(result: Result) -> list[str]:
    """The result for people, a line each."""
    said = [
        f"{name}: {one['passed']} of {one['cases']} passed, {100 * one['score']:.2f} %"
        for name, one in result["countings"].items()
    ]
    if result["tokens"]:
        tokens = result["tokens"]
        share = 100 * tokens["cached"] / max(1, tokens["prompt"])
        said.append(f"{share:.0f} % of {tokens['prompt']} prompt tokens were in the KV cache")
    if way := result["settings"].get("way"):
        said.append(f"asked by {way}")
    said.append(result["isolation"])
    return said

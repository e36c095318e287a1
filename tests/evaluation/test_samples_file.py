"""The samples file: what is read, what is refused and with which line, how a run goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_runtime.evaluation import samples
from model_runtime.evaluation.errors import EvaluationError

GOOD = '{"task_id": "CPP/0", "generation": "}"}\n'


def file(folder: Path, text: str) -> Path:
    path = folder / "samples.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_published_and_openai_fields_are_read(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD + '\n{"task_id": "CPP/1", "completion": "x", "prompt": "p"}\n')
    first, second = samples.read(path)
    assert (first.task_id, first.generation, first.line) == ("CPP/0", "}", 1)
    assert (second.generation, second.line, second.settings) == ("x", 3, {"prompt": "p"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + '{"task_id": "CPP/1", "gener', "line 2: this isn't a whole JSON object"),
        (GOOD + "[1]\n", "line 2: a sample is a JSON object"),
        (GOOD + '{"generation": "x"}\n', 'line 2: "task_id" is missing'),
        ('{"task_id": "CPP/0"}\n', 'line 1: "generation" is missing'),
        ('{"task_id": "CPP/0", "generation": 3}\n', 'line 1: "generation" is missing or no text'),
        ("\n\n", "holds no samples"),
        (
            '{"task_id": "Go/1", "generation": "", "sample": 0}\n' * 2,
            "line 2: sample 0 of Go/1 is already in line 1",
        ),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(EvaluationError, match=message):
        samples.read(file(tmp_path, text))


def test_what_is_no_text_file_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvaluationError, match="isn't UTF-8"):
        samples.read(tmp_path / "binary")
    with pytest.raises(EvaluationError, match="can't be read: No such file"):
        samples.read(tmp_path / "none")


def test_a_line_cut_by_an_interruption_is_dropped(tmp_path: Path) -> None:
    path = file(tmp_path, GOOD + '{"task_id": "CPP/1", "gener')
    assert [one.task_id for one in samples.reopen(path, {})] == ["CPP/0"]
    assert path.read_text() == GOOD
    assert samples.reopen(tmp_path / "none", {}) == []


def test_a_run_with_other_settings_does_not_go_on(tmp_path: Path) -> None:
    path = file(tmp_path, '{"task_id": "CPP/0", "generation": "}", "temperature": 0.2}\n')
    with pytest.raises(EvaluationError, match=r"with temperature 0\.2 and not 0\.8"):
        samples.reopen(path, {"temperature": 0.8})

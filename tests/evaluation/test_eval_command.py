"""The command line codegeex-eval: good files, and every bad one in a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from model_runtime.evaluation import download
from model_runtime.evaluation.__main__ import main
from model_runtime.evaluation.languages import PYTHON
from model_runtime.evaluation.problems import load

Captured = pytest.CaptureFixture[str]


def sample_line(task_id: str, generation: str) -> str:
    return json.dumps({"task_id": task_id, "prompt": "", "generation": generation}) + "\n"


@pytest.fixture
def score(tmp_path: Path, data: Path, capsys: Captured):  # type: ignore[no-untyped-def]
    """Score lines; the exit code, what was printed and the result's JSON."""

    def run(*lines: str, arguments: tuple[str, ...] = ()):  # type: ignore[no-untyped-def]
        path = tmp_path / "samples.jsonl"
        path.write_text("".join(lines), encoding="utf-8")
        out = tmp_path / "out"
        options = ["--score", str(path), "--data", str(data), "--out", str(out)]
        code = main(["humaneval-x", *options, *arguments])
        written = out.with_suffix(".json")
        results = json.loads(written.read_text(encoding="utf-8")) if written.exists() else None
        return code, capsys.readouterr(), results

    return run


@pytest.mark.usefixtures("isolation")
def test_a_published_file_is_scored(score, data: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("matplotlib")
    problems = load(data / "humaneval-x", PYTHON)[:2]
    lines = [sample_line(one.task_id, one.solution) for one in problems]
    lines += [sample_line("Python/0", "    return None\n")] * 3
    lines += [sample_line("Python/1", "    return None\n")] * 9
    code, said, (result,) = score(*lines)
    assert code == 0
    python = result["languages"]["python"]
    assert python["passed"] == {"0": [4, 1], "1": [10, 1]}
    assert python["pass_at_k"] == {"1": pytest.approx((1 / 4 + 1 / 10) / 2)}
    assert python["outcomes"] == {"wrong answer": 12, "passed": 2}
    assert result["cost"]["cpu_seconds"] > 0
    assert "Python: only 2 of 164 problems have samples." in said.out
    assert "Python: pass@10 needs 10 samples of every problem; one has only 4." in said.out


@pytest.mark.usefixtures("isolation")
def test_the_page_needs_nothing_from_elsewhere(score, data: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    pytest.importorskip("matplotlib")
    score(sample_line("Python/0", load(data / "humaneval-x", PYTHON)[0].solution))
    page = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert "CodeGeeX-13B, published" in page
    assert "pass@1" in page
    for loaded in ("<script", "<link", "src=", "@import"):
        assert loaded not in page


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (sample_line("Cobol/0", "x"), "line 1: 'Cobol/0' is no task of HumanEval-X"),
        (sample_line("Python/164", "x"), "line 1: there is no problem 'Python/164'"),
        (sample_line("Python/0", "x")[:-9], "line 1: this isn't a whole JSON object"),
    ],
)
def test_a_bad_samples_file_is_one_sentence(score, line: str, message: str) -> None:  # type: ignore[no-untyped-def]
    code, said, result = score(line)
    assert (code, result) == (2, None)
    assert message in said.err
    assert len(said.err.splitlines()) == 1


def test_a_missing_compiler_names_its_package(  # type: ignore[no-untyped-def]
    score, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_runtime.evaluation.languages.PATH", "/nowhere")
    code, said, _ = score(sample_line("CPP/0", "x"))
    assert code == 2
    assert said.err == (
        "C++ programs need g++, which isn't installed; "
        "run: apt-get install g++ libboost-dev libssl-dev\n"
    )


def test_without_isolation_nothing_is_scored(  # type: ignore[no-untyped-def]
    score, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    code, said, _ = score(sample_line("Python/0", "x"))
    assert code == 2
    assert "nothing was executed" in said.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["humaneval-x", "-n", "0"],
        ["humaneval-x", "--canonical", "--wrong-bodies"],
        ["report", "x.json"],
        [],
    ],
)
def test_bad_arguments_are_one_line(arguments: list[str], capsys: Captured) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_report_needs_results(tmp_path: Path, capsys: Captured) -> None:
    path = tmp_path / "other.json"
    path.write_text('{"a": 1}')
    assert main(["report", str(path), "--out", str(tmp_path / "out")]) == 2
    assert "is no result of codegeex-eval" in capsys.readouterr().err


def test_download_fetches_what_is_missing_or_damaged(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    published = {
        name: (f"file://{data.resolve() / name}", checksum)
        for name, (_, checksum) in download.FILES.items()
    }
    monkeypatch.setattr(download, "FILES", published)
    assert main(["download", "--data", str(tmp_path)]) == 0
    assert "6 files fetched" in capsys.readouterr().out
    (tmp_path / "mtpb/mtpb.jsonl").write_text("cut")
    assert main(["download", "--data", str(tmp_path)]) == 0
    assert "1 files fetched" in capsys.readouterr().out


def test_download_refuses_another_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    (tmp_path / "other").write_text("other")
    monkeypatch.setattr(
        download, "FILES", {"mtpb/mtpb.jsonl": (f"file://{tmp_path / 'other'}", "0" * 64)}
    )
    assert main(["download", "--data", str(tmp_path / "data")]) == 2
    assert "isn't the file it was; nothing was written" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()

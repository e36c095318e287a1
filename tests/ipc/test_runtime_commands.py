"""The command line: status, stop, and what it says about bad arguments."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import torch
from processes import PATIENCE_S, ROOT, Runtime

from model_runtime.wire.protocol import Result


def test_status_and_stop_of_a_running_runtime(runtime: Runtime) -> None:
    process = runtime.start()
    client = runtime.client().ready()
    assert isinstance(client.ask(1), Result)
    report = json.loads(runtime.command("status", "--json").stdout)
    assert (report["pid"], report["state"]) == (process.pid, "ready")
    assert report["model"] == runtime.model
    assert report["device"].startswith("cpu in float32: asked for")
    assert report["requests"] == {"result": 1}
    assert report["clients"] == 2, "this test and the command"
    assert report["latency_ms"]["p50"] > 0
    assert report["tokens_per_s"] > 0

    words = runtime.command("status")
    assert words.returncode == 0
    for word in (str(process.pid), runtime.model, "1 result", "tokens/s", "cpu in float32"):
        assert word in words.stdout

    stopped = runtime.command("stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert client.hung_up()
    assert process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("command", ["status", "stop"])
def test_when_nothing_runs_it_says_so(runtime: Runtime, command: str) -> None:
    done = runtime.command(command)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == "No runtime is running for this model and device.\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("dance",),
        ("serve", "--device", "toaster"),
        ("serve", "--quantize", "int5"),
        ("serve", "--idle-exit", "soon"),
        ("serve", "--idle-exit", "-1"),
        ("status", "--nonsense"),
    ],
)
def test_bad_arguments_get_one_line_and_exit_2(
    runtime: Runtime, arguments: tuple[str, ...]
) -> None:
    done = runtime.command(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("codegeex-runtime")
    assert done.stderr.count("\n") == 1


def test_a_bad_environment_is_a_bad_argument(runtime: Runtime) -> None:
    runtime.environment["CODEGEEX_DEVICE"] = "toaster"
    done = runtime.command("serve")
    assert done.returncode == 2
    assert '"CODEGEEX_DEVICE" must be "auto" or "cpu" or "cuda" or "npu"' in done.stderr


def test_a_bad_quantization_in_the_environment_is_a_bad_argument(runtime: Runtime) -> None:
    runtime.environment["CODEGEEX_QUANTIZE"] = "int5"
    done = runtime.command("serve")
    assert done.returncode == 2
    assert done.stderr == (
        'codegeex-runtime: The setting "CODEGEEX_QUANTIZE" must be "" or "int8" or "int4" or "nf4" '
        'or "llm.int8"; "" stays.\n'
    )


@pytest.mark.parametrize("device", ["cuda", "npu"])
def test_check_says_what_is_wrong_with_a_device(runtime: Runtime, device: str) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    done = runtime.command("check", "--device", device)
    assert done.returncode == 1
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("device:")]
    assert f"The device {device} was asked for, but " in line


def test_check_says_how_the_model_is_kept(runtime: Runtime) -> None:
    done = runtime.command("check")
    assert done.returncode == 0, done.stdout
    assert re.search(r"fit: +needs \d\.\d GiB in \w+ with \d+ tokens, ", done.stdout)


def test_check_says_what_cannot_be_quantized(runtime: Runtime) -> None:
    runtime.environment["CODEGEEX_QUANTIZE"] = "nf4"
    done = runtime.command("check", "--model", "codegeex-nano")
    assert done.returncode == 1
    assert "codegeex-nano is stored in int8 already" in done.stdout


def test_help(runtime: Runtime) -> None:
    done = runtime.command("--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("serve", "status", "stop"))


def configured(runtime: Runtime, text: str) -> None:
    """What an editor's server would start it with."""
    path = runtime.folder / "config.toml"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text(text)
    runtime.environment |= {"CODEGEEX_CONFIG": str(path), "CODEGEEX_MODEL": ""}


def test_the_commands_mean_the_model_of_the_users_configuration(runtime: Runtime) -> None:
    runtime.start()
    configured(runtime, f'model = "{runtime.model}"\n')
    report = json.loads(runtime.command("status", "--json").stdout)
    assert report["model"] == runtime.model
    relative = os.path.relpath(runtime.model, ROOT)
    assert runtime.command("status", "--model", relative).returncode == 0
    assert f"{runtime.model}" not in runtime.command("check").stderr
    assert runtime.command("stop").returncode == 0


def test_a_bad_configuration_is_a_bad_argument_unless_all_was_said(runtime: Runtime) -> None:
    configured(runtime, 'device = "gpu"\n')
    done = runtime.command("status")
    assert done.returncode == 2
    assert '"device" must be "auto" or "cpu" or "cuda" or "npu"' in done.stderr
    done = runtime.command(
        "status", "--model", "codegeex-nano", "--device", "cpu", "--quantize", ""
    )
    assert (done.returncode, done.stderr) == (
        1,
        "No runtime is running for this model and device.\n",
    )


def test_another_network_than_codegeex_is_not_measured(runtime: Runtime, tmp_path: Path) -> None:
    tiny_hub = pytest.importorskip("tiny_hub")
    folder = tiny_hub.write_folder(tmp_path / "m", "qwen2")
    done = runtime.command("bench", "--model", str(folder), "--device", "cpu")
    assert done.returncode == 2
    assert "m is a qwen2 network, and only CodeGeeX's are measured; use " in done.stderr

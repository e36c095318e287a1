"""`codegeex-lsp models`: what it passes on to the runtime, and `use`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from local_hub import LocalHub
from sample_model import HUB_ID, MODEL, SHARDS

from codegeex_lsp.config.config_file import set_model
from model_runtime.wire.configuration import ConfigurationError, load_trusted

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "model_runtime" / "embedded"
Done = subprocess.CompletedProcess[str]


def models(*arguments: str, answer: str = "") -> Done:
    return subprocess.run(
        [sys.executable, "-m", "codegeex_lsp", "models", *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        input=answer,
        timeout=240,  # `use` imports torch and transformers
    )


def assert_refused(done: Done, *words: str, code: int = 1) -> None:
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def used() -> str:
    """The model that an editor's server would start with."""
    trusted, complaints = load_trusted(os.environ)
    assert not complaints
    return trusted.model


# --- passed on ----------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_a_model_is_fetched_used_shown_and_removed(user: Path, hub: LocalHub, whole: Path) -> None:
    hub.repositories[HUB_ID] = {path.name: path.read_bytes() for path in whole.iterdir()}
    assert models("pull", MODEL, answer="y\n").returncode == 0
    done = models("use", MODEL.upper())
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{MODEL} is the model now, in {user / 'config.toml'}; "
        "editors use it from their next start.\n"
    )
    assert used() == MODEL
    assert json.loads(models("show", MODEL, "--json").stdout)["state"] == "used"
    assert f"used       {MODEL} " in models("list").stdout
    assert "model.safetensors" in os.listdir(models("path", MODEL).stdout.strip())
    assert_refused(models("remove", MODEL), f"Remove {MODEL}, which editors use, from")
    assert models("remove", MODEL, "--yes").returncode == 0


def test_the_revision_is_passed_on() -> None:
    assert_refused(models("pull", MODEL, "--revision", "v9"), "has no revision v9")


@pytest.mark.parametrize("verb", ["show", "pull", "use", "remove", "path"])
def test_an_unknown_name_gets_the_nearest_and_exit_2(verb: str) -> None:
    assert_refused(models(verb, "starcoder-7b"), "did you mean starcoder2-7b", code=2)


@pytest.mark.parametrize(
    "arguments", [(), ("dance",), ("show",), ("list", "x"), ("pull", "-x"), ("use", "a", "b")]
)
def test_bad_arguments_get_one_line_and_exit_2(arguments: tuple[str, ...]) -> None:
    assert_refused(models(*arguments), "codegeex-lsp", "--help", code=2)


# --- use ----------------------------------------------------------------------------------------


def test_use_keeps_all_else_in_the_file(user: Path) -> None:
    file = user / "config.toml"
    file.write_bytes(
        b'# mine\r\nmodel = "codegeex-nano"  # the small one\r\n\r\ndevice = "cpu"\r\n'
    )
    file.chmod(0o600)
    folder = shutil.copytree(EMBEDDED, user / "my model")
    assert models("use", str(folder)).returncode == 0
    assert file.read_bytes() == (
        f'# mine\r\nmodel = "{folder}"  # the small one\r\n\r\ndevice = "cpu"\r\n'.encode()
    )
    assert file.stat().st_mode & 0o777 == 0o600
    assert os.listdir(user).count("config.toml") == 1
    assert not [name for name in os.listdir(user) if name.startswith(".config")]


def test_use_takes_a_folder_by_a_relative_path_and_writes_the_whole_one(user: Path) -> None:
    assert models("use", "model_runtime/embedded").returncode == 0
    assert used() == str(EMBEDDED)


def test_use_makes_the_file_where_there_is_none(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = user / "new" / "config.toml"
    monkeypatch.setenv("CODEGEEX_CONFIG", str(path))
    assert models("use", "codegeex-nano").returncode == 0
    assert path.read_text() == 'model = "codegeex-nano"\n'


def test_use_says_when_the_environment_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_MODEL", "something")
    done = models("use", "codegeex-nano")
    assert done.returncode == 0
    assert done.stderr == "CODEGEEX_MODEL is set to something here and comes first.\n"


def test_a_model_that_is_not_here_is_not_used(user: Path) -> None:
    assert_refused(models("use", MODEL), f"isn't installed; run: codegeex-lsp models pull {MODEL}")
    assert (user / "config.toml").read_text() == ""


def test_a_half_model_is_not_used(user: Path, hub: LocalHub) -> None:
    data = hub.repositories["Qwen/Qwen2.5-Coder-0.5B"][SHARDS[0]]
    hub.false[SHARDS[0]] = b"x" * len(data)
    assert models("pull", MODEL, "--yes").returncode == 1
    assert_refused(models("use", MODEL), "isn't installed")


def test_a_folder_that_is_no_model_is_not_used(user: Path) -> None:
    (user / "nothing").mkdir()
    assert_refused(models("use", str(user / "nothing")), "it has no config.json", code=2)


def test_a_broken_settings_file_stays_as_it_is(user: Path) -> None:
    (user / "config.toml").write_text("model = \n")
    assert_refused(
        models("use", "codegeex-nano"), "config.toml is not valid TOML; correct it first"
    )
    assert (user / "config.toml").read_text() == "model = \n"


def test_a_link_to_the_settings_stays_a_link(user: Path) -> None:
    (user / "real.toml").write_text('device = "cpu"\n')
    link = user / "link.toml"
    link.symlink_to(user / "real.toml")
    set_model(link, "a")
    assert link.is_symlink()
    assert (user / "real.toml").read_text() == 'device = "cpu"\nmodel = "a"\n'


def test_the_model_goes_above_the_tables(user: Path) -> None:
    file = user / "config.toml"
    file.write_text("[later]\nx = 1\n")
    set_model(file, "a")
    assert file.read_text().startswith('model = "a"\n')
    assert "[later]\nx = 1\n" in file.read_text()


def test_a_settings_folder_that_is_none(user: Path) -> None:
    (user / "file").write_text("")
    with pytest.raises(ConfigurationError, match="can't be read: Not a directory"):
        set_model(user / "file" / "config.toml", "a")


@pytest.mark.timeout(300)
def test_a_model_that_embeds_is_used_beside_the_one_that_writes(user: Path) -> None:
    folder = user / "encoder"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "t5", "architectures": ["T5EncoderModel"]}')
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    (folder / "tokenizer.json").touch()
    done = models("use", str(folder))
    assert "is the embedding model now" in done.stdout
    trusted, _ = load_trusted(os.environ)
    assert trusted.embedding_model == str(folder)
    assert used() == "codegeex-nano"

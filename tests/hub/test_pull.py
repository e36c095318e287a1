"""`codegeex-runtime models` against a hub on this machine, through the real huggingface_hub."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from local_hub import COMMIT, LocalHub
from sample_model import HUB_ID, MODEL, SHARDS

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-P", "-m", "model_runtime", "models"]
Done = subprocess.CompletedProcess[str]


def models(*arguments: str, answer: str = "") -> Done:
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        input=answer,
        timeout=60,
    )


def pull(*arguments: str, answer: str = "") -> Done:
    return models("pull", MODEL, *arguments, answer=answer)


def assert_refused(done: Done, *words: str, code: int = 1) -> None:
    """One sentence, and nothing else."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


def state(user: Path) -> str:
    told = json.loads(models("show", MODEL, "--json").stdout)
    found: str = told["state"]
    return found


def blobs(user: Path) -> list[Path]:
    return sorted(user.glob(f"hub/models--{HUB_ID.replace('/', '--')}/blobs/*"))


def unfinished(user: Path) -> list[Path]:
    return [path for path in blobs(user) if path.suffix == ".incomplete"]


# --- the whole way ------------------------------------------------------------------------------


def test_pull_fetches_the_model_and_nothing_that_can_run(user: Path, hub: LocalHub) -> None:
    done = pull("--yes")
    assert (done.returncode, done.stderr) == (0, "")
    folder = user / "hub" / f"models--{HUB_ID.replace('/', '--')}" / "snapshots" / COMMIT
    assert done.stdout == (f"{MODEL} is in {folder}\nTo use it: codegeex-lsp models use {MODEL}\n")
    wanted = {"config.json", "tokenizer.json", "merges.txt", "model.safetensors.index.json"}
    assert {path.name for path in folder.rglob("*")} == wanted | {"LICENSE", *SHARDS}
    for path in folder.iterdir():
        assert path.read_bytes() == hub.repositories[HUB_ID][path.name]
    assert state(user) == "installed"
    assert not unfinished(user)


def test_the_cache_is_one_that_the_library_can_read(user: Path) -> None:
    pull("--yes")
    script = (
        "from huggingface_hub import scan_cache_dir, snapshot_download\n"
        "KINDS = ['model*.safetensors', 'tokenizer.json']\n"
        f"print(snapshot_download({HUB_ID!r}, local_files_only=True, allow_patterns=KINDS))\n"
        "print(*[repo.repo_id for repo in scan_cache_dir().repos])\n"
        "print(len(scan_cache_dir().warnings))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    folder, repositories, warnings = done.stdout.splitlines()
    assert folder == models("path", MODEL).stdout.strip()
    assert (repositories, warnings) == (HUB_ID, "0")


def test_pull_tells_size_and_licence_and_asks(user: Path, hub: LocalHub) -> None:
    done = pull(answer="n\n")
    assert_refused(
        done, f"Fetch {MODEL}: 6 MB of 6 MB, Apache-2.0, to {user / 'hub'}? [y/N]", "Nothing"
    )
    assert not hub.fetched(SHARDS[0])
    assert state(user) == ""


def test_pull_goes_on_after_a_yes(user: Path) -> None:
    assert pull(answer="y\n").returncode == 0
    assert state(user) == "installed"


def test_a_second_pull_fetches_nothing_and_needs_no_hub(user: Path, hub: LocalHub) -> None:
    pull("--yes")
    hub.repositories.clear()
    done = pull("--yes")
    assert done.returncode == 0
    assert hub.fetched(SHARDS[0]) == [0]


def test_files_with_the_same_contents_are_fetched_once(user: Path, hub: LocalHub) -> None:
    files = hub.repositories[HUB_ID]
    files[SHARDS[1]] = files[SHARDS[0]]
    assert pull("--yes").returncode == 0
    assert len(hub.fetched(SHARDS[0]) + hub.fetched(SHARDS[1])) == 1
    assert state(user) == "installed"


def test_a_note_about_the_licence_is_in_the_question(hub: LocalHub) -> None:
    hub.repositories["Qwen/Qwen2.5-Coder-3B"] = hub.repositories[HUB_ID]
    assert "Qwen Research (research use only)" in models("pull", "qwen2.5-coder-3b").stderr


def test_another_revision_can_be_named(user: Path, hub: LocalHub) -> None:
    hub.revisions["refs/pr/4"] = COMMIT
    assert pull("--yes", "--revision", "refs/pr/4").returncode == 0
    assert state(user) == "installed"


def test_all_files_are_of_the_commit_that_was_listed(user: Path, hub: LocalHub) -> None:
    """Somebody publishes another revision while the first is being fetched."""
    listed = hub.repositories[HUB_ID]
    hub.moves_to = {**listed, "config.json": b'{"model_type": "later"}'}
    assert pull("--yes").returncode == 0
    folder = Path(models("path", MODEL).stdout.strip())
    assert folder.name == COMMIT
    assert (folder / "config.json").read_bytes() == listed["config.json"]
    assert (folder.parents[1] / "refs" / "main").read_text() == COMMIT


def test_the_progress_for_programs(user: Path) -> None:
    done = pull("--json", answer="yes\n")
    events = [json.loads(line) for line in done.stdout.splitlines()]
    question, *progress, end = events
    assert question["event"] == "question"
    assert "Apache-2.0" in question["text"]
    assert question["missing"] == question["size"] > 6_000_000
    assert {event["event"] for event in progress} == {"progress"}
    counts = [event["done"] for event in progress]
    assert counts == sorted(counts)
    assert counts[-1] == question["size"]
    assert end["event"] == "done"
    assert Path(end["folder"], "config.json").is_file()


def test_a_refusal_for_programs(user: Path) -> None:
    done = pull("--json", answer="no\n")
    assert done.returncode == 1
    assert json.loads(done.stdout.splitlines()[-1])["event"] == "failed"


# --- broken lines and broken files --------------------------------------------------------------


def test_a_line_that_breaks_once_is_taken_up_at_the_same_byte(user: Path, hub: LocalHub) -> None:
    hub.cut = Once({SHARDS[0]: 1_000_000})
    assert pull("--yes").returncode == 0
    first, second = hub.fetched(SHARDS[0])
    assert first == 0
    assert 0 < second <= 1_000_000
    assert state(user) == "installed"


def test_a_mirror_that_knows_no_ranges_sends_all_again(user: Path, hub: LocalHub) -> None:
    hub.ranges = False
    hub.cut = Once({SHARDS[0]: 1_000_000})
    done = pull("--json", "--yes")
    assert done.returncode == 0
    counts = [json.loads(line).get("done", 0) for line in done.stdout.splitlines()]
    assert max(counts) == counts[-2] == json.loads(done.stdout.splitlines()[0])["size"]
    assert state(user) == "installed"


class Once(dict[str, int]):
    """Cuts each line once."""

    def get(self, name: str, default: Any = None) -> Any:
        return self.pop(name, default)


@pytest.mark.timeout(180)
def test_a_line_that_stays_broken_leaves_a_part_that_the_next_pull_goes_on_from(
    user: Path, hub: LocalHub
) -> None:
    hub.cut[SHARDS[1]] = 2_000_000
    assert_refused(pull("--yes"), "the line broke", f"run: codegeex-lsp models pull {MODEL}")
    assert state(user) == "in part"
    assert_refused(models("path", MODEL), "isn't installed")
    (part,) = unfinished(user)
    had = part.stat().st_size
    assert 0 < had <= 2_000_000

    hub.cut.clear()
    hub.asked.clear()
    done = pull("--yes")
    assert done.returncode == 0
    assert hub.fetched(SHARDS[1]) == [had]
    assert hub.fetched(SHARDS[0]) == [], "it had come whole"
    assert state(user) == "installed"


def test_a_killed_pull_is_gone_on_with(user: Path, hub: LocalHub) -> None:
    hub.hold.add(SHARDS[0])
    with subprocess.Popen([*COMMAND, "pull", MODEL, "--yes"], cwd=ROOT) as process:
        until(lambda: len(unfinished(user)) == 1 and len(blobs(user)) == 3)
        until(lambda: unfinished(user)[0].stat().st_size > 1_000_000)
        process.send_signal(signal.SIGKILL)
    assert state(user) == "in part"
    hub.held.set()
    hub.asked.clear()
    assert pull("--yes").returncode == 0
    (begin,) = hub.fetched(SHARDS[0])
    assert begin > 1_000_000
    assert state(user) == "installed"
    assert not unfinished(user)


def heed_interrupts() -> None:
    """A shell's background jobs, and what they start, are born ignoring them."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupted_pull_says_that_it_can_be_gone_on_with(user: Path, hub: LocalHub) -> None:
    hub.hold.update(SHARDS)
    command = [*COMMAND, "pull", MODEL, "--yes"]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    ) as process:
        until(lambda: len(unfinished(user)) == 2)
        until(lambda: all(path.stat().st_size > 1_000_000 for path in unfinished(user)))
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # the signal first, then the rest of the files
        hub.held.set()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr == "\nStopped; what came is kept, and the next pull goes on there.\n"
    assert state(user) == "in part"


def test_a_file_with_another_checksum_never_enters_the_cache(user: Path, hub: LocalHub) -> None:
    data = hub.repositories[HUB_ID][SHARDS[0]]
    hub.false[SHARDS[0]] = data[:-1] + bytes([data[-1] ^ 1])
    assert_refused(pull("--yes"), SHARDS[0], "checksum", "run again")
    assert state(user) == "in part"
    checksum = hashlib.sha256(data).hexdigest()
    assert not [path for path in blobs(user) if path.stem == checksum]
    hub.false.clear()
    assert pull("--yes").returncode == 0


def test_two_pulls_at_once_fetch_once(user: Path, hub: LocalHub) -> None:
    hub.hold.update(SHARDS)
    with subprocess.Popen([*COMMAND, "pull", MODEL, "--yes"], cwd=ROOT, stdout=-3) as first:
        until(lambda: len(unfinished(user)) == 2)
        assert_refused(pull("--yes"), "being fetched by another process")
        hub.held.set()
        assert first.wait(30) == 0
    assert hub.fetched(SHARDS[0]) == [0]


def until(true: Any) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


# --- what can't be fetched ----------------------------------------------------------------------


def test_an_unknown_name_gets_the_nearest() -> None:
    done = models("pull", "qwen2.5-coder-0.5")
    assert_refused(done, "There is no model", "did you mean qwen2.5-coder-0.5b or", code=2)


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert_refused(pull(), "127.0.0.1:9 can't be reached", f"run: codegeex-lsp models pull {MODEL}")


def test_offline_the_command_to_run_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert_refused(pull(), "HF_HUB_OFFLINE", f"run: codegeex-lsp models pull {MODEL}")


@pytest.mark.parametrize("nonsense", [{}, [], "hello", {"sha": 1}])
def test_something_else_than_a_hub(hub: LocalHub, nonsense: Any) -> None:
    hub.nonsense = nonsense
    assert_refused(pull(), hub.address, "doesn't answer as a model hub does", "HF_ENDPOINT")


def test_a_checksum_that_is_a_path_is_no_name_for_a_file(user: Path, hub: LocalHub) -> None:
    hub.checksums[SHARDS[0]] = "../../../stolen"
    assert_refused(pull("--yes"), "doesn't answer as a model hub does")
    assert not hub.asked
    assert not list(user.rglob("stolen*"))


def test_a_repository_without_weights_is_not_fetched(hub: LocalHub) -> None:
    files = hub.repositories[HUB_ID]
    hub.repositories[HUB_ID] = {
        name: data for name, data in files.items() if not name.endswith((".safetensors", ".bin"))
    }
    assert_refused(
        pull("--yes"), HUB_ID, "neither safetensors nor pytorch_model.bin at main", "--revision"
    )
    assert not hub.asked


def test_a_hub_that_is_ill(hub: LocalHub) -> None:
    hub.status = 503
    assert_refused(pull(), f"{hub.address} answered with status 503", "later, run")


def test_the_users_token_is_sent(hub: LocalHub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.token = "hf_secret"  # noqa: S105
    assert_refused(pull("--yes"), "may need HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull("--yes").returncode == 0


def test_a_licence_to_accept(hub: LocalHub) -> None:
    hub.gated.add(HUB_ID)
    assert_refused(pull(), "Accept the licence (Apache-2.0) at", HUB_ID, "HF_TOKEN")


def test_a_model_that_the_hub_does_not_have(hub: LocalHub) -> None:
    hub.repositories.clear()
    assert_refused(pull(), f"has no {HUB_ID}, or not for you")


def test_a_revision_that_the_hub_does_not_have() -> None:
    assert_refused(pull("--revision", "v9"), "has no revision v9")


def test_a_full_disk_is_told_before(user: Path, hub: LocalHub) -> None:
    """The hub announces more than any disk has."""
    files = hub.repositories[HUB_ID]
    files[SHARDS[0]] = Announced(files[SHARDS[0]])
    assert_refused(pull("--yes"), "no room for", "HF_HUB_CACHE")
    assert not hub.asked


class Announced(bytes):
    def __len__(self) -> int:
        return 10**16


def test_a_disk_that_fills_up_on_the_way(user: Path, hub: LocalHub) -> None:
    """A limit on the size of files stands for the disk: writing fails just so."""
    script = (
        "import resource, signal, sys, errno\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "from model_runtime.__main__ import main\n"
        f"sys.exit(main(['models', 'pull', {MODEL!r}, '--yes']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert_refused(done, "can't be fetched", "File too large")
    assert state(user) == "in part"
    assert pull("--yes").returncode == 0


def test_a_cache_that_cannot_be_written(user: Path) -> None:
    (user / "hub").write_text("a file where the folder should be")
    assert_refused(pull("--yes"), MODEL, "can't be fetched")


def test_a_model_made_by_conversion_says_how() -> None:
    assert_refused(models("pull", "codegeex-13b"), "codegeex-runtime convert SOURCE TARGET")


# --- path, remove, list -------------------------------------------------------------------------


def test_the_embedded_model_is_always_here() -> None:
    folder = models("path", "codegeex-nano").stdout.strip()
    assert Path(folder, "model.safetensors").is_file()
    assert models("pull", "codegeex-nano").returncode == 0
    assert_refused(models("remove", "codegeex-nano", "--yes"), "part of the package")


def test_remove_asks_and_frees_the_disk(user: Path) -> None:
    pull("--yes")
    assert_refused(
        models("remove", MODEL), f"Remove {MODEL} from {user / 'hub'}, 6 MB? [y/N]", "Nothing"
    )
    assert state(user) == "installed"
    done = models("remove", MODEL, answer="yes\n")
    assert (done.returncode, done.stdout) == (0, f"{MODEL} is removed, 6 MB are free again.\n")
    assert state(user) == ""
    assert not blobs(user)
    assert_refused(models("remove", MODEL, "--yes"), "isn't installed")


def test_remove_frees_a_part_too_and_leaves_other_models(user: Path, hub: LocalHub) -> None:
    other = "qwen2.5-coder-1.5b"
    hub.repositories["Qwen/Qwen2.5-Coder-1.5B"] = hub.repositories[HUB_ID]
    models("pull", other, "--yes")
    pull("--yes")
    next(user.glob(f"hub/models--*0.5B/snapshots/*/{SHARDS[0]}")).unlink()
    assert state(user) == "in part"
    assert models("remove", MODEL, "--yes").returncode == 0
    assert not blobs(user)
    assert models("path", other).returncode == 0


def test_list_marks_what_is_here_and_what_is_used(
    user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull("--yes")
    monkeypatch.setenv("CODEGEEX_MODEL", MODEL)
    lines = models("list").stdout.splitlines()
    assert lines[0].split() == ["name", "size", "fits", "in", "context", "licence", "can"]
    rows = {line[:9].strip(): line.split() for line in lines[1:] if line[:9].strip()}
    assert rows["used"][1] == MODEL
    assert rows["installed"][1] == "codegeex-nano"


def test_no_verb_loads_torch_or_transformers() -> None:
    script = (
        "import sys\nfrom model_runtime.__main__ import main\n"
        f"main(['models', 'list'])\nmain(['models', 'pull', {MODEL!r}, '--yes'])\n"
        "print(*{'torch', 'transformers', 'numpy'} & set(sys.modules), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")


def test_list_for_programs_has_every_model() -> None:
    told = json.loads(models("list", "--json").stdout)
    assert len(told) > 40
    nano = told[0]
    assert (nano["name"], nano["state"], nano["fits"]) == ("codegeex-nano", "used", "float16")


def test_show_says_plainly_that_a_model_is_not_pinned() -> None:
    shown = models("show", "codestral-22b").stdout
    assert "mistralai/Codestral-22B-v0.1, unpinned" in shown
    assert "no commercial or production use" in shown


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "it has no config.json"),
        ({"config.json": '{"model_type": "x"}'}, "it lacks model.safetensors"),
        ({"config.json": "{"}, "can't be understood"),
        ({"config.json": '{"model_type": "x"}', "pytorch_model.bin": ""}, "as pickle files"),
        ({"config.json": '{"model_type": "x"}', "model.safetensors": ""}, "it has no tokenizer"),
        (
            {
                "config.json": '{"model_type": "x"}',
                "model.safetensors.index.json": '{"weight_map": {"a": "1.safetensors"}}',
            },
            "it lacks 1.safetensors",
        ),
    ],
)
def test_a_folder_that_is_no_model(user: Path, files: dict[str, str], problem: str) -> None:
    folder = user / "model"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    assert_refused(models("path", str(folder)), str(folder), problem, code=2)


def test_a_folder_that_does_not_exist() -> None:
    assert_refused(models("path", "./nowhere"), "There is no model folder", "nowhere", code=2)


def test_no_model_of_the_catalogue_runs_code_from_its_repository() -> None:
    assert "trust_remote_code=True" not in "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "model_runtime").rglob("*.py")
    )

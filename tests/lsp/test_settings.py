from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codegeex_lsp.config.config_file import set_model
from codegeex_lsp.config.settings import (
    ActionSettings,
    CompletionSettings,
    IndexSettings,
    Pause,
    Settings,
    from_client,
)
from model_runtime.options import Device
from model_runtime.wire import configuration
from model_runtime.wire.configuration import ConfigurationError, TrustedSettings, load_trusted
from scripts import settings_reference

DEFAULTS = Settings()


def assert_settings(raw: object, problem: str | None = None, **changes: Any) -> None:
    """`changes` are those of the completion group, `problem` is a part of the one sentence."""
    result, problems = from_client(raw, DEFAULTS)
    assert result == replace(DEFAULTS, completion=replace(DEFAULTS.completion, **changes))
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]
        assert problems[0].endswith(".")


@pytest.mark.parametrize(
    "raw",
    [
        {"codegeex": {"completion": {"automatic": False, "maxLines": 3}}},
        {"completion": {"automatic": False, "maxLines": 3}},
        {"codegeex.completion.automatic": False, "codegeex.completion.maxLines": 3.0},
        {"completion.automatic": False, "completion": {"maxLines": 3}},
        {"codegeex": {"completion.automatic": False, "completion": {"maxLines": 3}}},
    ],
)
def test_accepted_forms(raw: object) -> None:
    assert_settings(raw, automatic=False, max_lines=3)


@pytest.mark.parametrize(
    "raw",
    [
        None,
        {},
        {"codegeex": None},
        {"codegeex": {}},
        [],
        {"codegeex": []},
        {"codegeex": {"completion": []}},
    ],
)
def test_an_editor_with_nothing_to_say(raw: object) -> None:
    assert_settings(raw)


@pytest.mark.parametrize("raw", [[1], "on", 3, {"codegeex": 1}, {"codegeex": {"completion": [1]}}])
def test_something_else_than_an_object(raw: object) -> None:
    assert_settings(raw, "must be an object")


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("automatic", None, "true or false"),
        ("automatic", 1, "true or false"),
        ("maxLines", True, "a whole number from 0 to 200; 8 stays"),
        ("maxLines", "3", "a whole number"),
        ("maxLines", 2.5, "a whole number"),
        ("maxLines", -1, "from 0 to 200"),
        ("maxLines", 10**400, "from 0 to 200"),
        ("temperature", float("nan"), "a number from 0 to 2"),
        ("pause", "none", '"adaptive" or "off"'),
        ("pause", [], '"adaptive" or "off"'),
        ("disabledLanguages", ["a", 1], "a list of texts"),
        ("disabledLanguages", "python", "a list of texts"),
        ("minimumConfidence", 2, "null or a number from 0 to 1"),
        ("max_lines", 3, 'no setting "codegeex.completion.max_lines"'),
        ("x" * 500, 3, "xxx..."),
    ],
)
def test_a_bad_value_leaves_the_old_one(key: str, value: object, problem: str) -> None:
    assert_settings({"codegeex": {"completion": {key: value}}}, problem)


def test_good_values_of_every_kind() -> None:
    assert_settings({"completion": {"pause": "off"}}, pause=Pause.OFF)
    assert_settings({"completion": {"minimumConfidence": 1}}, minimum_confidence=1.0)
    assert_settings({"completion": {"minimumConfidence": None}}, minimum_confidence=None)
    assert_settings({"completion": {"disabledLanguages": ["sql"]}}, disabled_languages=("sql",))


def test_what_is_not_said_stays_as_it_was() -> None:
    base = replace(DEFAULTS, enabled=False, completion=CompletionSettings(max_lines=5))
    result, _ = from_client({"completion": {"maxCandidates": 1}}, base)
    assert result.enabled is False
    assert result.completion == CompletionSettings(max_lines=5, max_candidates=1)


def test_an_editor_cannot_choose_what_is_run() -> None:
    for key in ("model", "device", "idleExitS"):
        assert_settings({"codegeex": {key: "/project/evil"}}, f'"codegeex.{key}" is ignored')


def test_the_extensions_own_settings_and_other_sections_are_no_problem() -> None:
    assert_settings(
        {"codegeex": {"server": {"path": "x"}, "trace.server": "off"}, "python": {"a": 1}}
    )


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
_KEYS = st.sampled_from(["codegeex", "completion", "maxLines", "pause", "enabled", "model", "a.b."])


@given(st.dictionaries(_KEYS, _VALUES | st.dictionaries(_KEYS, _VALUES)) | _VALUES)
def test_nothing_an_editor_sends_raises(raw: object) -> None:
    result, problems = from_client(raw, DEFAULTS)
    assert isinstance(result, Settings)
    assert all(problem.endswith(".") and len(problem) < 300 for problem in problems)


# --- the user's own file ------------------------------------------------------------------------


def assert_trusted(
    tmp_path: Path, toml: str | None, expected: TrustedSettings, problem: str = "", **environ: str
) -> None:
    path = tmp_path / "config.toml"
    if toml is not None:
        path.write_text(toml, "utf-8")
    trusted, problems = load_trusted({"CODEGEEX_CONFIG": str(path), **environ})
    assert trusted == expected
    assert len(problems) == bool(problem)
    assert problem in "".join(problems)


def test_the_file_is_read_and_the_environment_comes_first(tmp_path: Path) -> None:
    toml = 'model = "/models/x"\ndevice = "cuda"\nidle_exit_s = 60\n'
    assert_trusted(tmp_path, toml, TrustedSettings("/models/x", Device.CUDA, 60))
    expected = TrustedSettings("/other", Device.CPU, 60)
    variables = {"CODEGEEX_MODEL": "/other", "CODEGEEX_DEVICE": "cpu"}
    assert_trusted(tmp_path, toml, expected, **variables)


def test_bad_files_leave_the_defaults(tmp_path: Path) -> None:
    defaults = TrustedSettings()
    assert_trusted(tmp_path, None, defaults, "does not exist")
    assert_trusted(tmp_path, "model = ", defaults, "not valid TOML")
    assert_trusted(tmp_path, "idle_exit_s = 0", defaults, "from 1 to")
    assert_trusted(tmp_path, 'model = ""', defaults, "a text")
    assert_trusted(tmp_path, "colour = 1", defaults, 'no setting "colour"')


def test_other_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b'model = "\xe9"')
    for path in (tmp_path, tmp_path / "latin"):
        trusted, problems = load_trusted({"CODEGEEX_CONFIG": str(path)})
        assert trusted == TrustedSettings()
        assert len(problems) == 1


MARKED = [
    ("utf-8-sig", ""),
    ("utf-16", ""),
    ("utf-16-be", "\ufeff"),
    ("utf-8", ""),
]


@pytest.mark.parametrize(("encoding", "mark"), MARKED)
def test_a_file_of_any_editor_is_read(tmp_path: Path, encoding: str, mark: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(f'{mark}# für mich\r\ndevice = "cpu"\r\n'.encode(encoding))
    trusted, problems = load_trusted({"CODEGEEX_CONFIG": str(path)})
    assert (trusted.device, problems) == (Device.CPU, [])
    set_model(path, "codegeex-nano")
    assert path.read_bytes() == (
        '# für mich\r\ndevice = "cpu"\r\nmodel = "codegeex-nano"\n'.encode()
    )


def pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (pipe, "is no regular file"),
        (Path.mkdir, "can't be read: Is a directory"),
        (lambda path: path.symlink_to(path), "can't be read: Too many levels of symbolic links"),
        (lambda path: path.symlink_to("/dev/zero"), "is no regular file"),
        (lambda path: path.write_bytes(b"a = 1\n" * 200_000), "is larger than 1 MiB"),
        (lambda path: path.write_bytes(b'a = 1\nb = "\xe9"'), "is not UTF-8 text (line 2)"),
        (lambda path: path.write_text("a = " + "[" * 100_000), "is not valid TOML"),
    ],
)
def test_what_is_no_file_of_settings_is_neither_read_nor_written(
    tmp_path: Path, make: Callable[[Path], Any], problem: str
) -> None:
    path = tmp_path / "config.toml"
    make(path)
    trusted, problems = load_trusted({"CODEGEEX_CONFIG": str(path)})
    assert trusted == TrustedSettings()
    assert len(problems) == 1
    assert problem in problems[0]
    before = path.lstat()
    with pytest.raises(ConfigurationError, match=re.escape(problem.partition(" (")[0])):
        set_model(path, "codegeex-nano")
    assert path.lstat() == before


@pytest.mark.parametrize(
    ("setting", "bad", "wanted"),
    [
        ("device", "gpu", '"auto" or "cpu" or "cuda" or "npu"'),
        ("device", "CPU", '"auto" or "cpu" or "cuda" or "npu"'),
        ("device", " ", '"auto" or "cpu" or "cuda" or "npu"'),
        ("quantize", "4bit", '"int8" or "int4" or "nf4" or "llm.int8"'),
        ("model", "  ", "a text"),
    ],
)
def test_file_and_environment_are_checked_alike(
    tmp_path: Path, setting: str, bad: str, wanted: str
) -> None:
    assert_trusted(tmp_path, f"{setting} = '{bad}'", TrustedSettings(), f'"{setting}" must be')
    variable = f"CODEGEEX_{setting.upper()}"
    assert_trusted(tmp_path, "", TrustedSettings(), wanted, **{variable: bad})
    assert_trusted(tmp_path, "", TrustedSettings(), f'"{variable}" must be', **{variable: bad})


def test_a_name_that_no_program_takes(tmp_path: Path) -> None:
    assert_trusted(tmp_path, 'model = "a\\u0000b"', TrustedSettings(), "a text")


def test_a_folder_is_the_same_for_every_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The runtime works in another folder than the editor."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "etc").mkdir()
    path = tmp_path / "etc" / "config.toml"
    for said, meant in (
        ("./m", tmp_path / "etc" / "m"),
        ("~/m", tmp_path / "home" / "m"),
        ("/a/../m/", "/m"),
    ):
        path.write_text(f'model = "{said}"\nembedding_model = "{said}"\n')
        trusted, _ = load_trusted({"CODEGEEX_CONFIG": str(path)})
        assert (trusted.model, trusted.embedding_model) == (str(meant), str(meant))
    trusted, _ = load_trusted({"CODEGEEX_CONFIG": str(path), "CODEGEEX_MODEL": "../m"})
    assert trusted.model == str(tmp_path.parent / "m")
    trusted, _ = load_trusted({"CODEGEEX_CONFIG": str(path), "CODEGEEX_MODEL": "Qwen2.5-Coder-3B"})
    assert trusted.model == "qwen2.5-coder-3b"


def test_without_a_name_the_file_is_the_users_and_may_be_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("platformdirs.user_config_path", lambda *_, **__: tmp_path)
    assert configuration.config_path({"CODEGEEX_CONFIG": ""}) == tmp_path / "config.toml"
    assert load_trusted({}) == (TrustedSettings(), [])


# --- what is generated --------------------------------------------------------------------------


def test_the_schema_describes_every_setting() -> None:
    properties = settings_reference.schema()["properties"]
    groups = (CompletionSettings, ActionSettings, IndexSettings)
    of_no_group = ("codegeex.enabled", "codegeex.exclude")
    assert len(properties) == sum(len(fields(group)) for group in groups) + len(of_no_group)
    assert json.loads(json.dumps(properties["codegeex.completion.maxLines"])) == {
        "type": "integer",
        "minimum": 0,
        "maximum": 200,
        "default": 8,
        "description": "Most lines of one suggestion; 0 means no limit.",
    }
    assert properties["codegeex.completion.pause"]["enum"] == ["adaptive", "off"]
    for about in properties.values():
        assert about["description"].endswith(".")


def test_the_defaults_of_the_schema_are_read_back() -> None:
    properties = json.loads(json.dumps(settings_reference.schema()["properties"]))
    assert_settings({name: about["default"] for name, about in properties.items()})


def test_the_page_of_settings_is_the_generated_one() -> None:
    page = settings_reference.PAGE.read_text(encoding="utf-8")
    assert page == settings_reference.page(), "run scripts/settings_reference.py"
    rows = re.findall(r"^\| `[\w.]+` \| [^|]+ \| `[^|]+` \| [^|]+\. \|$", page, re.MULTILINE)
    everything = len(settings_reference.schema()["properties"]) + len(fields(TrustedSettings))
    assert len(rows) == everything

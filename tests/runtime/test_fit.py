"""What a model needs, against the tensors themselves, and the sentence when it is too much."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model_runtime.device import memory, system_memory
from model_runtime.folders import fit, native, opening
from model_runtime.folders.fit import GIB, FitError, Need
from model_runtime.networks import known, kv_size
from model_runtime.networks.codegeex import CodeGeeX, CodeGeeXConfig
from model_runtime.networks.kept import BitsAndBytes, Kept, Precision
from model_runtime.networks.kv_size import KVSize

LARGE = CodeGeeXConfig(5120, 39, 40, 52224, 2048)
NANO = CodeGeeXConfig(256, 4, 4, 8192, 512)
TINY = CodeGeeXConfig(64, 3, 4, 512, 64)
CPU = torch.device("cpu")


@pytest.mark.parametrize(("config", "count"), [(LARGE, 12_873_943_040), (TINY, 241_024)])
def test_parameters(config: CodeGeeXConfig, count: int) -> None:
    assert config.linear_parameters + config.other_parameters == count
    with torch.device("meta"):
        network = CodeGeeX(config)
    assert sum(parameter.numel() for parameter in network.parameters()) == count


@pytest.mark.parametrize(
    ("kept", "dtype", "weights_gb", "cache_gb"),
    [
        (Precision.FLOAT16, "float16", 25.75, 6.7),
        (Precision.INT8, "float16", 13.17, 6.7),
        (Precision.INT4, "float16", 7.66, 6.7),
        (BitsAndBytes.LLM_INT8, "float16", 13.17, 6.7),
        (BitsAndBytes.NF4, "float16", 7.26, 6.7),
        (Precision.FLOAT16, "float32", 51.5, 6.7),
        (Precision.INT8, "float32", 13.76, 6.7),
        (Precision.INT4, "float32", 8.24, 6.7),
    ],
)
def test_what_codegeex_13b_needs(
    kept: Kept, dtype: str, weights_gb: float, cache_gb: float
) -> None:
    found = fit.need(LARGE, kept, dtype, on_cpu=dtype == "float32", free=None)
    assert found.weights / 1e9 == pytest.approx(weights_gb, abs=0.01)
    assert found.kv.bytes / 1e9 == pytest.approx(cache_gb, abs=0.05)
    assert 0 < found.working < 1e9


def test_a_small_model_is_served_in_float_however_it_is_stored() -> None:
    needs = fit.needs(NANO, "float32", on_cpu=True, free=None)
    assert len({needs[stored].total for stored in Precision}) == 1
    assert needs[Precision.INT8].total < 0.2 * GIB


def test_keys_and_values_of_a_large_model_are_halved_on_a_cpu() -> None:
    assert kv_size.kept_in(LARGE, "float32", on_cpu=True) == "bfloat16"
    assert kv_size.kept_in(NANO, "float32", on_cpu=True) == "float32"
    assert kv_size.kept_in(LARGE, "float16", on_cpu=False) == "float16"


def test_with_less_memory_the_cache_is_shorter_and_then_has_fewer_rows() -> None:
    """Of a network as CodeLlama-7B: half a MiB a position."""
    shape = known.shapes()["codellama-7b"]
    beside = fit.need(shape, Precision.INT4, "float32", on_cpu=True, free=0)
    beside_bytes = beside.total - beside.kv.bytes
    found = []
    for gib in (64, 16, 15, 8, 7, 4, 3, 1, 0.9, 0.5, 0.4):
        need = fit.need(
            shape, Precision.INT4, "float32", on_cpu=True, free=int(beside_bytes + gib * GIB)
        )
        kv = need.kv
        found.append(
            (kv.context, kv.slots, kv.branches) if need.total <= beside_bytes + gib * GIB else None
        )
    assert found == [
        (8192, 2, 2),
        (8192, 2, 2),
        (4096, 2, 2),
        (4096, 2, 2),
        (2048, 2, 2),
        (2048, 2, 2),
        (2048, 1, 0),
        (2048, 1, 0),
        (1024, 1, 0),
        (1024, 1, 0),
        None,
    ]


def test_a_small_model_has_room_for_four_texts() -> None:
    kv = next(kv_size.sizes(NANO, "float32", on_cpu=True))
    assert (kv.context, kv.slots, kv.branches, kv.dtype) == (512, 4, 5, "float32")
    short = CodeGeeXConfig(256, 4, 4, 8192, 256)
    assert {kv.context for kv in kv_size.sizes(short, "float32", on_cpu=True)} == {256}


def kv(size: int) -> KVSize:
    return KVSize(2048, 2, 2, "float16", size)


NEEDS: dict[Kept, Need] = {
    Precision.FLOAT16: Need(24 * GIB, kv(6 * GIB), 0),
    Precision.INT8: Need(12 * GIB, kv(6 * GIB), 0),
    Precision.INT4: Need(7 * GIB, kv(6 * GIB), 0),
}


@pytest.mark.parametrize(
    ("stored", "free"),
    [("float16", 30), ("int8", 18), ("int4", 13), ("int4", 100), ("float16", None)],
)
def test_what_fits(stored: str, free: int | None) -> None:
    kept = Precision(stored)
    fit.check("big", kept, kept, NEEDS, None if free is None else free * GIB)


@pytest.mark.parametrize(
    ("stored", "free", "sentence"),
    [
        (
            "float16",
            29,
            "big in float16 needs 30.0 GiB, and 29.0 GiB are free; "
            'in int8 it would fit (18.0 GiB): set quantize = "int8".',
        ),
        (
            "float16",
            17,
            "big in float16 needs 30.0 GiB, and 17.0 GiB are free; "
            'in int4 it would fit (13.0 GiB): set quantize = "int4".',
        ),
        (
            "int8",
            13,
            "big in int8 needs 18.0 GiB, and 13.0 GiB are free; "
            "in int4 it would fit (13.0 GiB): convert it.",
        ),
        (
            "int4",
            12,
            "big in int4 needs 13.0 GiB, and 12.0 GiB are free; "
            "no precision fits (13.0 GiB at least): use a smaller model.",
        ),
    ],
)
def test_what_is_refused(stored: str, free: int, sentence: str) -> None:
    with pytest.raises(FitError) as caught:
        fit.check("big", Precision(stored), Precision(stored), NEEDS, free * GIB)
    assert str(caught.value) == sentence


def test_the_way_out_starts_from_what_is_stored() -> None:
    needs = NEEDS | {BitsAndBytes.LLM_INT8: Need(13 * GIB, kv(6 * GIB), 0)}
    with pytest.raises(FitError, match=r'in llm.int8 needs 19.0 GiB.* set quantize = "int8"\.$'):
        fit.check("big", BitsAndBytes.LLM_INT8, Precision.FLOAT16, needs, 18 * GIB)
    with pytest.raises(FitError, match=r"in int4 it would fit \(13.0 GiB\): convert it\.$"):
        fit.check("big", Precision.INT8, Precision.INT8, needs, 14 * GIB)


def test_memory_that_ran_out_names_something_smaller() -> None:
    """Although all of it is free again: as much was free before."""
    error = fit.ran_out("big", Precision.FLOAT16, Precision.FLOAT16, NEEDS, 100 * GIB)
    assert str(error) == (
        "Memory ran out while big was loaded in float16, and 100.0 GiB are free; "
        'in int8 it would fit (18.0 GiB): set quantize = "int8".'
    )
    error = fit.ran_out("big", Precision.INT4, Precision.INT4, NEEDS, 100 * GIB)
    assert str(error) == (
        "Memory ran out while big was loaded in int4; close other programs or use a smaller model."
    )


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), True),
        (RuntimeError("NPU out of memory. Tried to allocate 2.00 GiB (NPU 0; 60 GiB)"), True),
        (RuntimeError("memory format option is only supported by strided tensors"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_how_running_out_of_memory_reads(error: Exception, expected: bool) -> None:
    assert memory.out_of_memory(error) is expected


def meminfo(path: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = path / "meminfo"
    file.write_text(text, encoding="ascii")
    monkeypatch.setattr(system_memory, "MEMORY", file)
    monkeypatch.setattr(system_memory, "OWN_GROUPS", path / "no groups")


def test_loading_asks_before_it_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo(tmp_path, "MemTotal: 9 kB\nMemAvailable: 2048 kB\n", monkeypatch)
    monkeypatch.setattr(native, "Shards", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(FitError, match=r"^codegeex-nano in int8 needs 0\.\d GiB, and 0\.0 GiB"):
        opening.load("codegeex-nano", CPU, torch.float32)


@pytest.mark.parametrize("text", ["", "MemTotal: 9 kB\n", "MemAvailable: much kB\n"])
def test_a_system_that_does_not_tell(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo(tmp_path, text, monkeypatch)
    assert system_memory.free_memory() is None
    assert opening.load("codegeex-nano", CPU, torch.float32).name == "codegeex-nano"


# --- control groups -----------------------------------------------------------------------------

MIB = 2**20


def groups(root: Path, monkeypatch: pytest.MonkeyPatch, own: str, files: dict[str, str]) -> None:
    """A machine with 8 GiB available, and a tree of control groups below `root`."""
    meminfo(root, f"MemAvailable: {8 * MIB} kB\n", monkeypatch)
    for name, text in files.items():
        path = root / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n", encoding="ascii")
    (root / "own").write_text(own, encoding="ascii")
    monkeypatch.setattr(system_memory, "OWN_GROUPS", root / "own")
    monkeypatch.setattr(system_memory, "GROUPS", root / "cgroup")


def version_2(folder: str, limit: str, used: int, files: int) -> dict[str, str]:
    return {
        f"{folder}/memory.max": limit,
        f"{folder}/memory.current": str(used * MIB),
        f"{folder}/memory.stat": f"active_file 5\ninactive_file {files * MIB}",
    }


def version_1(folder: str, limit: int, used: int, files: int) -> dict[str, str]:
    return {
        f"memory/{folder}/memory.limit_in_bytes": str(limit),
        f"memory/{folder}/memory.usage_in_bytes": str(used * MIB),
        f"memory/{folder}/memory.stat": f"inactive_file 0\ntotal_inactive_file {files * MIB}",
    }


@pytest.mark.parametrize(
    ("own", "files", "free_mib"),
    [
        ("0::/a/b", version_2("a/b", str(2048 * MIB), 1024, 100), 1124),
        ("0::/a/b", version_2("a", str(2048 * MIB), 1024, 0) | version_2("a/b", "max", 9, 0), 1024),
        ("0::/a", version_2("a", "max", 1024, 0), 8192),
        ("0::/the/hosts/path", version_2(".", str(512 * MIB), 12, 0), 500),
        ("0::/", version_2(".", str(512 * MIB), 600, 0), 0),
        ("5:cpu:/x\n4:memory:/job\n0::/", version_1("job", 1024 * MIB, 24, 50), 1050),
        ("4:memory:/job", version_1("job", 2**63 - 4096, 24, 0), 8192),
        ("4:memory:/job", version_1("", 300 * MIB, 100, 0), 200),
        ("4:memory:/job", {"memory/job/memory.limit_in_bytes": "much"}, 8192),
    ],
)
def test_the_limit_of_a_control_group_counts(
    own: str, files: dict[str, str], free_mib: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups(tmp_path, monkeypatch, own, files)
    assert system_memory.free_memory() == free_mib * MIB

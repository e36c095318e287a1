"""A device "npu" for a process of its own: tensors that say they are there and lie on the CPU.

Every operator on them runs on what they hold. A CPU tensor among them is an error, as on the real
device, unless it is copied or a single number. What else differs from an NPU this can't show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.utils import backend_registration
from torch.utils._pytree import tree_map

COPYING = ("aten.copy_.default", "aten._to_copy.default")
# Asked by Module.to(): whether a parameter can take the new tensor's place in memory.
EXCHANGING = "aten._has_compatible_shallow_copy_type.default"
PLACE = torch.device("cpu")


class NpuTensor(Tensor):
    held: Tensor

    @staticmethod
    # A view of a parameter is a normal tensor in inference mode too, and so must its wrapper be.
    @torch.inference_mode(False)
    def __new__(cls, held: Tensor) -> NpuTensor:
        made: Any = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device="npu:0",
        )
        made.held = held
        return made  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        return self.held.tolist()

    @classmethod
    def __torch_dispatch__(
        cls,
        operator: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if str(operator) == EXCHANGING:
            return False
        mixed = str(operator) in COPYING

        def taken(value: Any) -> Any:
            if isinstance(value, NpuTensor):
                return value.held
            if isinstance(value, Tensor) and value.dim() and not mixed:
                raise RuntimeError(f"{operator} got a CPU tensor on the NPU")
            return PLACE if isinstance(value, torch.device) else value

        result = operator(*tree_map(taken, args), **tree_map(taken, dict(kwargs)))
        if kwargs.get("device") == PLACE:
            return result
        if operator._schema.is_mutable and isinstance(result, Tensor):
            return args[0]
        return tree_map(lambda one: NpuTensor(one) if isinstance(one, Tensor) else one, result)


class Module(ModuleType):
    """torch.npu, as far as the runtime asks it."""

    waits = 0

    def is_available(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def is_initialized(self) -> bool:
        return True

    def _is_in_bad_fork(self) -> bool:
        return False

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.float16]

    def manual_seed_all(self, seed: int) -> None:
        """The CPU's own seed is set already."""

    def synchronize(self, place: torch.device) -> None:
        self.waits += 1

    def mem_get_info(self, place: torch.device) -> tuple[int, int]:
        return 32 * 2**30, 64 * 2**30


def held(tensor: Tensor) -> Tensor:
    return tensor.held if isinstance(tensor, NpuTensor) else tensor


def set_up() -> Module:
    """Once in a process."""
    module = Module("npu")
    backend_registration._setup_privateuseone_for_python_backend("npu", backend_module=module)
    library = torch.library.Library("aten", "IMPL")

    def empty(size: Sequence[int], dtype: torch.dtype | None = None, **_: object) -> Tensor:
        return NpuTensor(torch.empty(size, dtype=dtype))

    def empty_strided(
        size: Sequence[int], stride: Sequence[int], dtype: torch.dtype | None = None, **_: object
    ) -> Tensor:
        return NpuTensor(torch.empty_strided(size, stride, dtype=dtype))

    def copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
        """torch.tensor() comes here, past __torch_dispatch__."""
        held(target).copy_(held(source))
        return target

    def arange(start: float, end: float | None = None, step: float = 1, **about: Any) -> Tensor:
        first, last = (0, start) if end is None else (start, end)
        return NpuTensor(torch.arange(first, last, step, dtype=about.get("dtype")))

    for overload in ("arange", "arange.start", "arange.start_step"):
        library.impl(overload, arange, "PrivateUse1")
    library.impl("_copy_from", copy_from, "PrivateUse1")
    library.impl("empty.memory_format", empty, "PrivateUse1")
    library.impl("empty_strided", empty_strided, "PrivateUse1")
    KEPT.append(library)
    torch.Generator = Generator  # type: ignore[misc]
    return module


OnCpu = torch.Generator


class Generator:
    """torch_npu has generators of its own; a device of Python's can't."""

    def __new__(cls, device: object = None) -> Any:
        return OnCpu()


KEPT: list[torch.library.Library] = []  # a library that is collected takes its kernels along

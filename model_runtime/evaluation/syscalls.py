"""What a program in the sandbox may not ask the kernel for, as a seccomp filter.

The walls keep a program from other files and processes; the filter keeps it from making walls of
its own, from memory that nobody counts, and from parts of the kernel that no program of a problem
needs. A list of what is denied, and not of what is allowed: five languages' run-times change more
often than the dangerous calls do, and what is newer than the list doesn't exist inside. It is the
same filter on every machine, so that a program gets the same verdict on each. sandbox.py hands it
to bubblewrap.
"""

from __future__ import annotations

import errno
import platform
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from model_runtime.evaluation.errors import EvaluationError

# Reasons, and each call's number on x86-64 and on 64-bit ARM.
DENIED: dict[str, dict[str, tuple[int, int]]] = {
    "a user namespace would bring all capabilities; clone3's flags lie where no filter can look": {
        "unshare": (272, 97),
        "setns": (308, 268),
        "clone3": (435, 435),
    },
    "mounts of its own, should it get the capability after all": {
        "mount": (165, 40),
        "umount2": (166, 39),
        "pivot_root": (155, 41),
        "chroot": (161, 51),
        "open_tree": (428, 428),
        "move_mount": (429, 429),
        "fsopen": (430, 430),
        "fsconfig": (431, 431),
        "fsmount": (432, 432),
        "fspick": (433, 433),
        "mount_setattr": (442, 442),
        "open_by_handle_at": (304, 265),
    },
    "keyrings belong to the user and not to a namespace: the user's keys lie there": {
        "add_key": (248, 217),
        "request_key": (249, 218),
        "keyctl": (250, 219),
    },
    "large parts of the kernel, with a history of holes": {
        "bpf": (321, 280),
        "perf_event_open": (298, 241),
        "userfaultfd": (323, 282),
        "io_uring_setup": (425, 425),
        "io_uring_enter": (426, 426),
        "io_uring_register": (427, 427),
    },
    "other processes' memory and files": {
        "ptrace": (101, 117),
        "process_vm_readv": (310, 270),
        "process_vm_writev": (311, 271),
        "process_madvise": (440, 440),
        "pidfd_getfd": (438, 438),
        "kcmp": (312, 272),
    },
    "memory that is in no process and in no folder, so that only a cgroup counts it": {
        "memfd_create": (319, 279),
        "memfd_secret": (447, 447),
        "shmget": (29, 194),
        "msgget": (68, 186),
        "semget": (64, 190),
        "io_setup": (206, 0),
        "vmsplice": (278, 75),
    },
}
# Linux 6.10's mseal is 462; from 424 on all processors have the same numbers.
FIRST_UNKNOWN = 463

# clone's flags: new mounts, cgroups, UTS, IPC, user, process numbers, network.
NEW_NAMESPACES = 0x7E020000
# mmap's MAP_SHARED and MAP_ANONYMOUS: pages that stay when they are unmapped from their first half.
SHARED_ANONYMOUS = 0x21
# Families with a network namespace of their own. A virtual machine's AF_VSOCK reaches its host.
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)


@dataclass(frozen=True, slots=True)
class Processor:
    """`audit` is its name in the kernel (AUDIT_ARCH_...), `column` its numbers' in DENIED."""

    audit: int
    column: int
    clone: int
    mmap: int
    socket: int


PROCESSORS = {
    "x86_64": Processor(0xC000003E, 0, clone=56, mmap=9, socket=41),
    "aarch64": Processor(0xC00000B7, 1, clone=220, mmap=222, socket=198),
}

# Classic BPF: load a word of seccomp_data; jump if equal, at least, or any bit; and; return.
LOAD, EQUAL, AT_LEAST, ANY_BIT, AND, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
NUMBER, AUDIT, ARGUMENTS = 0, 4, 16
KILL, FAIL, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000

Program = Iterator[tuple[int, int, int, int]]


def filter_program() -> bytes:
    """For this machine's processor. Raises EvaluationError where its numbers aren't known."""
    processor = PROCESSORS.get(platform.machine())
    if processor is None:
        raise EvaluationError(
            f"Programs can't be isolated on {platform.machine()}, whose system calls have other "
            "numbers than are known here; nothing was executed."
        )
    return b"".join(struct.pack("=HBBI", *step) for step in _steps(processor))


def _steps(processor: Processor) -> Program:
    """Each step is an operation, how many steps to skip if true and if false, and its number."""
    # 32-bit calls have numbers of their own; those of x86's third kind are above all others.
    yield LOAD, 0, 0, AUDIT
    yield EQUAL, 1, 0, processor.audit
    yield RETURN, 0, 0, KILL
    yield LOAD, 0, 0, NUMBER
    yield AT_LEAST, 0, 1, FIRST_UNKNOWN
    yield _failing(errno.ENOSYS)
    for calls in DENIED.values():
        for numbers in calls.values():
            yield EQUAL, 0, 1, numbers[processor.column]
            yield _failing(errno.ENOSYS)
    yield EQUAL, 0, 4, processor.clone
    yield _argument(0)
    yield ANY_BIT, 0, 1, NEW_NAMESPACES
    yield _failing(errno.EPERM)
    yield RETURN, 0, 0, ALLOW
    yield EQUAL, 0, 5, processor.mmap
    yield _argument(3)
    yield AND, 0, 0, SHARED_ANONYMOUS
    yield EQUAL, 0, 1, SHARED_ANONYMOUS
    yield _failing(errno.EPERM)
    yield RETURN, 0, 0, ALLOW
    yield EQUAL, 0, len(FAMILIES) + 2, processor.socket
    yield _argument(0)
    for left, family in enumerate(reversed(FAMILIES)):
        yield EQUAL, len(FAMILIES) - left, 0, family
    yield _failing(errno.EAFNOSUPPORT)
    yield RETURN, 0, 0, ALLOW


def _failing(number: int) -> tuple[int, int, int, int]:
    return RETURN, 0, 0, FAIL | number


def _argument(place: int) -> tuple[int, int, int, int]:
    """Its low word: both processors are little-endian, and these arguments are of 32 bits."""
    return LOAD, 0, 0, ARGUMENTS + 8 * place

"""Memory that is in no process's own pages: each kind is impossible, or within the limits."""

from __future__ import annotations

import pytest
from hostile import TIGHT, Running

from model_runtime.evaluation.supervision import MIB

# Held by `memory` alone, as Java's, node's and Go's programs are.
LOOSE = {"address_space": False, "memory": 128 * MIB}


def test_a_file_in_memory_can_not_be_made(run: Running) -> None:
    program = """
import os
try:
    os.memfd_create("hidden")
except OSError as error:
    print(error.strerror)
"""
    assert run(program).output == "Function not implemented\n"


def test_pages_can_not_be_shared_but_through_a_file(run: Running) -> None:
    """Unmapped but for one, such pages stay, and no process has them any more."""
    program = """
import mmap, os
for flags in (mmap.MAP_SHARED, 3):  # MAP_SHARED_VALIDATE
    try:
        mmap.mmap(-1, 1 << 20, flags | mmap.MAP_ANONYMOUS)
    except OSError as error:
        print(type(error).__name__)
print(os.path.exists("/dev/zero"), len(mmap.mmap(-1, 1 << 20, mmap.MAP_PRIVATE)))
"""
    assert run(program).output.split() == ["PermissionError", "PermissionError", "False", "1048576"]


def test_shared_memory_of_system_v_can_not_be_made(run: Running) -> None:
    program = """
import ctypes
libc = ctypes.CDLL(None)
print(libc.shmget(0, 1 << 20, 0o1600), libc.msgget(0, 0o1600), libc.semget(0, 1, 0o1600))
"""
    assert run(program).output == "-1 -1 -1\n"


def test_shared_memory_of_posix_is_a_file_in_tmp(run: Running) -> None:
    program = """
import errno
from multiprocessing import Lock, shared_memory
Lock().acquire()
small = shared_memory.SharedMemory(create=True, size=1 << 20)
small.buf[:3] = b"yes"
again = shared_memory.SharedMemory(small.name)
print(bytes(again.buf[:3]).decode())
small.unlink()
try:
    for number in range(100):
        with open(f"/dev/shm/{number}", "wb") as file:
            file.write(bytes(8 << 20))
except OSError as error:
    print(errno.errorcode[error.errno], number * 8)
"""
    works, code, written = run(program).output.split()[:3]
    assert (works, code) == ("yes", "ENOSPC")
    assert int(written) <= TIGHT.disk // MIB


def test_files_in_memory_count_as_memory(run: Running) -> None:
    program = """
import os, time
for number in range(20):
    with open(f"/tmp/{number}", "wb") as file:
        file.write(bytes(8 << 20))
time.sleep(60)
"""
    assert run(program, **LOOSE, disk=512 * MIB).stopped == "memory"


def test_a_deleted_file_that_is_open_counts_too(run: Running) -> None:
    program = """
import os, time
kept = []
for number in range(20):
    kept.append(open(f"/tmp/{number}", "wb"))
    kept[-1].write(bytes(8 << 20))
    os.unlink(f"/tmp/{number}")
time.sleep(60)
"""
    assert run(program, **LOOSE, disk=512 * MIB).stopped == "memory"


def test_empty_files_count_too(run: Running) -> None:
    """Each takes a kilobyte of the kernel's, and no block of the folder's."""
    program = """
import os
for number in range(10_000_000):
    os.mknod(f"/tmp/{number}")
"""
    assert run(program, **LOOSE | {"memory": 48 * MIB}, seconds=60.0).stopped == "memory"


def test_page_tables_count_too(run: Running) -> None:
    """The same 32 MiB mapped again and again take no further page but those of their tables."""
    program = """
import ctypes, time
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
file = open("/tmp/pages", "w+b")
file.truncate(32 << 20)
size, offset = ctypes.c_size_t(32 << 20), ctypes.c_long(0)
for _ in range(4000):
    place = libc.mmap(None, size, 1, 1, file.fileno(), offset)  # PROT_READ, MAP_SHARED
    if libc.madvise(ctypes.c_void_p(place), size, 22):  # MADV_POPULATE_READ
        raise SystemExit("since Linux 5.14")
time.sleep(60)
"""
    done = run(program, **LOOSE, seconds=60.0)
    if "since Linux 5.14" in done.output:
        pytest.skip("before Linux 5.14 pages can't be mapped all at once")
    assert done.stopped == "memory"


def test_pages_can_not_be_kept_in_a_pipe(run: Running) -> None:
    program = """
import ctypes, os
reading, writing = os.pipe()
page = ctypes.create_string_buffer(4096)
vector = (ctypes.c_void_p * 2)(ctypes.addressof(page), 4096)
print(ctypes.CDLL(None).vmsplice(writing, vector, 1, 0))
"""
    assert run(program).output == "-1\n"


def test_sockets_hold_little(run: Running) -> None:
    """Their buffers are the kernel's: 16 processes have 200 MiB of them at most."""
    program = """
import socket
kept = []
try:
    while True:
        kept += socket.socketpair()
except OSError:
    print(len(kept))
"""
    assert int(run(program).output) <= 64


def test_a_bomb_of_threads_stays_small(run: Running) -> None:
    program = """
import threading, time
try:
    for made in range(1000):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
except RuntimeError:
    print(made, flush=True)
"""
    assert int(run(program, **LOOSE).output) < TIGHT.processes

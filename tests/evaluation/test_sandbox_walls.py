"""What a hostile program may not ask the kernel for: no new walls, no mounts, no keys."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from hostile import CALLS, Running, number, words

from model_runtime.evaluation.syscalls import DENIED, PROCESSORS

X86_64 = platform.machine() == "x86_64"
NEW_USER, NEW_MOUNTS, SIGCHLD = 0x10000000, 0x00020000, 17
NAMESPACES = {
    "mnt": NEW_MOUNTS,
    "cgroup": 0x02000000,
    "uts": 0x04000000,
    "ipc": 0x08000000,
    "user": NEW_USER,
    "pid": 0x20000000,
    "net": 0x40000000,
    "time": 0x00000080,
}


# --- no new namespaces ----------------------------------------------------------------------------


def test_no_capability_and_no_way_to_new_ones(run: Running) -> None:
    program = """
libc.unshare(0x10000000)
print(open('/proc/self/status').read())
"""
    output = run(CALLS + program).output
    status = dict(line.split(":\t", 1) for line in output.splitlines() if ":\t" in line)
    assert all(int(status[name], 16) == 0 for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    assert status["NoNewPrivs"] == "1"


@pytest.mark.parametrize("kind", NAMESPACES)
def test_no_namespace_can_be_made(run: Running, kind: str) -> None:
    """Its own or a child's, and of all three ways to ask for it."""
    flag, clone = NAMESPACES[kind], PROCESSORS[platform.machine()].clone
    in_a_clone = f"call({clone}, {flag | SIGCHLD}, 0, 0, 0, 0)" if kind != "time" else "'EPERM'"
    program = f"""
before = os.readlink("/proc/self/ns/{kind}")
print(libc.unshare({flag}), call({number("unshare")}, {flag}))
print(call({number("unshare")}, {NEW_USER | flag}))
inside = {in_a_clone}
if inside == 0: os._exit(0)
arguments = (ctypes.c_uint64 * 11)({flag}, 0, 0, 0, {SIGCHLD})
print(inside, call({number("clone3")}, ctypes.addressof(arguments), ctypes.sizeof(arguments)))
print(os.readlink("/proc/self/ns/{kind}") == before)
"""
    assert words(run, program) == ["-1", "ENOSYS", "ENOSYS", "EPERM", "ENOSYS", "True"]


def test_no_other_namespace_can_be_entered(run: Running) -> None:
    program = f"""
for kind in os.listdir("/proc/self/ns"):
    print(call({number("setns")}, os.open("/proc/self/ns/" + kind, os.O_RDONLY), 0))
"""
    assert set(words(run, program)) == {"ENOSYS"}


def test_the_tool_for_it_fails(run: Running) -> None:
    program = """
import subprocess
print(subprocess.run(["unshare", "--user", "--map-root-user", "true"], stderr=-3).returncode != 0)
"""
    assert words(run, program) == ["True"]


@pytest.mark.skipif(not X86_64, reason="only x86 has calls of two more kinds")
def test_nor_by_the_numbers_of_another_kind_of_call(run: Running) -> None:
    """32-bit calls have other numbers, and so do the third kind, of 32-bit pointers."""
    assert words(run, f"print(call(0x40000000 | {number('unshare')}, {NEW_USER}))") == ["ENOSYS"]
    code = b"\xb8\x36\x01\x00\x00" + b"\xbb\x00\x00\x00\x10" + b"\xcd\x80\xc3"
    program = f"""
import mmap
page = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=7)
page.write({code!r})
unshare = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
print("did it", unshare(), flush=True)
"""
    done = run(CALLS + program)
    assert (done.code, done.output) == (128 + 31, "")  # SIGSYS, by the filter


# --- no mounts ------------------------------------------------------------------------------------


def test_no_mount_can_be_made_moved_or_removed(run: Running) -> None:
    program = f"""
mounts = open("/proc/self/mountinfo").read()
tmpfs = ctypes.create_string_buffer(b"tmpfs"), ctypes.create_string_buffer(b"/tmp")
tmpfs, place = map(ctypes.addressof, tmpfs)
print(call({number("mount")}, tmpfs, place, tmpfs, 0, 0), call({number("umount2")}, place, 2))
print(call({number("mount")}, 0, place, 0, 32, 0), call({number("fsopen")}, tmpfs, 0))
print(call({number("open_tree")}, -100, place, 1), call({number("pivot_root")}, place, place))
print(call({number("chroot")}, place), open("/proc/self/mountinfo").read() == mounts)
"""
    assert words(run, program) == ["ENOSYS"] * 7 + ["True"]


def test_all_that_is_mounted_is_read_only_but_its_tmp(run: Running) -> None:
    lines = run("print(open('/proc/self/mountinfo').read())").output.split("\n")
    mounts = {fields[4]: fields[5] for fields in map(str.split, lines) if fields}
    writable = {place for place, options in mounts.items() if "ro" not in options.split(",")}
    assert writable == {"/tmp", "/proc", "/dev/null", "/dev/random", "/dev/urandom"}  # noqa: S108
    assert not any(place.startswith(("/sys", "/run", "/home")) for place in mounts)


# --- nothing of other users and processes ---------------------------------------------------------


def test_what_is_denied_is_not_there(run: Running) -> None:
    names = [name for calls in DENIED.values() for name in calls]
    numbers = {name: number(name) for name in names}
    program = f"""
for name, number in {numbers}.items():
    print(name, call(number, 0, 0, 0, 0, 0))
"""
    assert words(run, program) == [word for name in names for word in (name, "ENOSYS")]


def test_what_is_newer_than_the_list_is_not_there(run: Running) -> None:
    assert words(run, "print(call(470, 0), call(999, 0), call(-1, 0))") == ["ENOSYS"] * 3


def test_the_users_keys_can_not_be_read(run: Running) -> None:
    """The session's keyring is inherited, and no namespace hides it."""
    asked = f"""
texts = ctypes.create_string_buffer(b"user"), ctypes.create_string_buffer(b"secret")
kind, name = map(ctypes.addressof, texts)
print(call({number("add_key")}, kind, name, name, 6, -3))
print(call({number("request_key")}, kind, name, 0, -3))
print([call({number("keyctl")}, work, -5, 0, 0, 0) for work in (0, 6, 10, 11)])
print(os.path.exists("/proc/keys") and len(open("/proc/keys").read()))
"""
    *answers, keys = words(run, asked)
    assert {answer.strip("[',]") for answer in answers} == {"ENOSYS"}
    assert keys in ("0", "False")


def test_the_tables_numbers_are_the_kernels() -> None:
    """Against the headers that a C compiler brings."""
    places = (
        f"/usr/include/{platform.machine()}-linux-gnu/asm/unistd_64.h",
        "/usr/include/asm-generic/unistd.h",
    )
    columns = {0: places[0], 1: places[1]} if X86_64 else {1: places[1]}
    if not all(Path(place).exists() for place in columns.values()):
        pytest.skip("the kernel's headers aren't installed (linux-libc-dev)")
    for column, place in columns.items():
        lines = [line.split() for line in Path(place).read_text().splitlines()]
        known = {line[1]: line[2] for line in lines if len(line) > 2 and line[0] == "#define"}
        processor = list(PROCESSORS.values())[column]
        ours = {name: found[column] for calls in DENIED.values() for name, found in calls.items()}
        ours |= {"clone": processor.clone, "socket": processor.socket}
        assert {name: int(known[f"__NR_{name}"]) for name in ours} == ours
        mmap = known.get("__NR3264_mmap") or known["__NR_mmap"]
        assert int(mmap) == processor.mmap

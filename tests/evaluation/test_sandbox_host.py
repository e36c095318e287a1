"""What a hostile program finds of the host: no files, no network, no processes."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from hostile import Running, words


def test_nothing_is_inherited_but_its_input_and_output(run: Running) -> None:
    program = (
        "print(*sorted(map(int, os.listdir('/proc/self/fd'))), os.readlink('/proc/self/fd/0'))"
    )
    *descriptors, opened, first = words(run, program)
    assert (descriptors, first) == (["0", "1", "2"], "/dev/null")
    assert opened == "3"  # the folder's own


def test_other_processes_are_not_seen(run: Running) -> None:
    """Only bubblewrap's, which is its parent, and itself."""
    program = "print(*[name for name in os.listdir('/proc') if name.isdigit()], os.getpid())"
    *seen, own = words(run, program)
    assert set(seen) == {"1", own}


def test_abstract_sockets_of_the_host_are_not_there(run: Running) -> None:
    name = f"codegeex-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0{name}")
        server.listen()
        server.setblocking(False)
        with socket.socket(socket.AF_UNIX) as client:  # it can be reached from outside
            client.connect(f"\0{name}")
            server.accept()[0].close()
        program = f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect("\\0{name}")
except OSError as error:
    print(type(error).__name__)
"""
        assert words(run, program) == ["ConnectionRefusedError"]
        with pytest.raises(BlockingIOError):
            server.accept()


def test_sockets_in_the_hosts_folders_are_not_there(run: Running) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        Path(folder).chmod(0o755)
        server.bind(f"{folder}/socket")
        Path(folder, "socket").chmod(0o777)
        server.listen()
        program = f"""
import socket
try:
    socket.socket(socket.AF_UNIX).connect("{folder}/socket")
except OSError as error:
    print(type(error).__name__)
"""
        assert words(run, program) == ["FileNotFoundError"]


# AF_VSOCK, AF_PACKET, AF_ALG, AF_BLUETOOTH, AF_CAN; not every Python knows them all by name.
@pytest.mark.parametrize("family", [40, 17, 38, 31, 29])
def test_kinds_of_network_without_a_namespace_are_not_there(run: Running, family: int) -> None:
    """A virtual machine's AF_VSOCK reaches the machine that it runs on."""
    program = f"""
import socket
try:
    print(socket.socket({family}, socket.SOCK_STREAM))
except OSError as error:
    print(errno.errorcode[error.errno])
"""
    assert words(run, program) == ["EAFNOSUPPORT"]


# --- no files, no network, no signals -------------------------------------------------------------


@pytest.mark.parametrize("place", ["/", "/dev", "/proc", "/usr/bin", "/program", "/etc"])
def test_nothing_but_its_tmp_can_be_written(run: Running, work: Path, place: str) -> None:
    program = f"""
import os
os.makedirs({place!r}, exist_ok=True)
for number in range(64):
    open(os.path.join({place!r}, f"evil{{number}}"), "wb").write(bytes(1 << 20))
"""
    assert run(program).code != 0
    assert sorted(path.name for path in work.iterdir()) == ["main.py"]


def test_files_of_the_host_are_not_there(
    run: Running, tmp_path_factory: pytest.TempPathFactory
) -> None:
    secret = tmp_path_factory.mktemp("host") / "secret"
    secret.write_text("secret")
    secret.chmod(0o644)
    program = f"""
import os
for path in ({str(secret)!r}, "/etc/passwd", "/etc/shadow", "/root/.bashrc", "/proc/1/environ"):
    try:
        print(len(open(path, "rb").read()))
    except OSError as error:
        print(type(error).__name__)
print(sorted(os.listdir("/")))
"""
    lines = run(program).output.splitlines()
    assert set(lines[:-1]) <= {"FileNotFoundError", "PermissionError", "0"}
    assert "home" not in lines[-1]


def test_the_environment_is_not_passed_on(run: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEGEEX_SECRET", "42")
    assert "CODEGEEX_SECRET" not in run("import os; print(dict(os.environ))").output


def test_there_is_no_network_not_even_the_loopback(run: Running) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        program = f"""
import socket
try:
    socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 2)
except OSError:
    raise SystemExit(83)
"""
        assert run(program).code == 83
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()


def test_it_can_kill_neither_its_parent_nor_anybody(run: Running) -> None:
    program = f"""
import os, signal
for pid in (os.getppid(), {os.getpid()}, -1):
    try:
        os.kill(pid, signal.SIGKILL)
    except OSError:
        pass
"""
    with subprocess.Popen(["sleep", "60"]) as bystander:
        run(program)
        assert bystander.poll() is None
        bystander.kill()


def test_the_home_folder_is_not_there(run: Running) -> None:
    with tempfile.NamedTemporaryFile(dir=Path.home(), prefix=".codegeex-test-") as secret:
        Path(secret.name).chmod(0o644)
        program = f"""
import pathlib
print(pathlib.Path({secret.name!r}).exists())
"""
        assert words(run, program) == ["False"]

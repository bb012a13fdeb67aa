"""Code that wants out: what it finds inside the sandbox, tried for real."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from kfops.adapters.local.outputs import copy_output, exists, names, read_output
from kfops.adapters.local.sandbox import Limits, NoSandbox, Sandbox, probe
from kfops.ports.errors import Refused

MIB = 1 << 20
SECRET = "KFOPS_TEST_TOKEN_7f3a"


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def run(confinement, code, out, limits=None, variables=None, read_only=None, timeout=60):
    command = confinement.argv(
        [sys.executable, "-c", code],
        read_only=read_only or {},
        writable={out: Path("/out")},
        chdir=Path("/out"),
        limits=limits or Limits(memory_bytes=2048 * MIB, processes=64, file_bytes=8 * MIB),
        variables=variables or {},
    )
    return subprocess.run(
        command,
        env=confinement.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def answer(done):
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_r11_the_environment_is_clean(sandbox, out, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    seen = answer(run(sandbox, "import json, os; print(json.dumps(dict(os.environ)))", out))
    assert SECRET not in str(seen)
    # LC_CTYPE is Python's own doing.
    assert set(seen) <= {
        *("PATH", "HOME", "USER", "LANG", "LC_CTYPE", "PWD", "PYTHONDONTWRITEBYTECODE", "MALLOC_ARENA_MAX"),
    }


def test_r11_no_process_shows_an_environment_of_ours(sandbox, out, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    code = """
import glob, json
found = []
for path in glob.glob('/proc/[0-9]*/environ'):
    try:
        found.append(open(path, 'rb').read().decode(errors='replace'))
    except OSError:
        pass
print(json.dumps(found))
"""
    seen = answer(run(sandbox, code, out))
    assert seen  # its own, at least
    assert SECRET not in str(seen)


def test_r11_the_user_has_no_rights(sandbox, out):
    code = """
import json, os
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
print(json.dumps([os.getuid(), os.getgid(), os.getgroups(), *(status[k].strip() for k in ('CapEff', 'CapBnd', 'NoNewPrivs'))]))
"""
    uid, gid, groups, effective, bounding, no_new = answer(run(sandbox, code, out))
    assert uid != 0
    assert gid != 0
    assert 0 not in groups
    assert (int(effective, 16), int(bounding, 16), no_new) == (0, 0, "1")


def test_r11_our_files_are_not_there(sandbox, out, tmp_path):
    mine = tmp_path / "ledger.sqlite"
    mine.write_text(SECRET)
    code = f"""
import json, os
print(json.dumps([os.path.exists(p) for p in ({str(mine)!r}, '/etc/shadow', '/etc/passwd', '/root/.ssh', '/var', '/home')]
                 + [sorted(os.listdir('/'))]))
"""
    *there, root = answer(run(sandbox, code, out))
    assert not any(there)
    assert "sys" not in root


def test_r11_nothing_of_the_packages_source_but_what_is_bound(sandbox, out):
    here = Path(__file__).parents[2]
    code = f"import json, os; print(json.dumps([os.path.exists(os.path.join({str(here)!r}, n)) for n in ('.git', 'tests', 'bot')]))"
    assert answer(run(sandbox, code, out)) == [False, False, False]


def test_r11_loopback_and_the_world_are_out_of_reach(sandbox, out):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        code = f"""
import json, socket
found = []
for place in (('127.0.0.1', {port}), ('192.0.2.1', 80)):
    with socket.socket() as s:
        s.settimeout(2)
        try:
            s.connect(place); found.append('connected')
        except OSError as error:
            found.append(type(error).__name__)
try:
    socket.getaddrinfo('example.org', 80); found.append('resolved')
except OSError:
    found.append('no')
print(json.dumps(found))
"""
        seen = answer(run(sandbox, code, out))
    assert "connected" not in seen
    assert "resolved" not in seen


def test_r11_an_abstract_socket_of_ours_is_out_of_reach(sandbox, out):
    name = f"\0kfops-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(name)
        listening.listen()
        code = f"""
import json, socket
with socket.socket(socket.AF_UNIX) as s:
    try:
        s.connect({name!r}); print(json.dumps('connected'))
    except OSError as error:
        print(json.dumps(type(error).__name__))
"""
        assert answer(run(sandbox, code, out)) == "ConnectionRefusedError"


def test_r11_nothing_can_be_written_but_what_is_given(sandbox, out, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    (source / "pipeline.py").write_text("x = 1\n")
    code = """
import json, os, sys
wrote = []
for path in ('/x', '/usr/x', '/repo/x', '/repo/pipeline.py', '/dev/x', '/proc/sys/kernel/hostname',
             sys.prefix + '/x', os.path.dirname(os.__file__) + '/x', '/out/fine', '/tmp/fine'):
    try:
        open(path, 'a').write('y'); wrote.append(path)
    except OSError:
        pass
print(json.dumps(wrote))
"""
    done = run(sandbox, code, out, read_only={source: Path("/repo")})
    assert answer(done) == ["/out/fine", "/tmp/fine"]
    assert (source / "pipeline.py").read_text() == "x = 1\n"


def test_r11_a_fork_bomb_meets_its_limit(sandbox, out):
    code = """
import json, os, signal, time
children = []
try:
    while len(children) < 500:
        pid = os.fork()
        if pid == 0:
            time.sleep(30); os._exit(0)
        children.append(pid)
except OSError:
    pass
for pid in children:
    os.kill(pid, signal.SIGKILL)
print(json.dumps(len(children)))
"""
    assert answer(run(sandbox, code, out, Limits(memory_bytes=2048 * MIB, processes=40))) < 40


def test_r11_memory_has_an_end(sandbox, out):
    code = """
import json
try:
    bytearray(4 << 30); print(json.dumps('had it'))
except MemoryError:
    print(json.dumps('MemoryError'))
"""
    assert answer(run(sandbox, code, out)) == "MemoryError"


def test_r11_a_file_and_the_scratch_space_have_an_end(sandbox, out):
    code = """
import json, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sizes = []
for folder, files in (('/out', 1), ('/tmp', 40), ('/dev/shm', 40)):
    size = 0
    try:
        for number in range(files):
            with open(f'{folder}/f{number}', 'wb') as file:
                for _ in range(64):
                    size += file.write(bytes(1 << 20)); file.flush()
    except OSError:
        pass
    sizes.append(size >> 20)
print(json.dumps(sizes))
"""
    limits = Limits(memory_bytes=2048 * MIB, processes=64, file_bytes=8 * MIB, scratch_bytes=16 * MIB)
    file, scratch, shared = answer(run(sandbox, code, out, limits))
    assert file <= 8
    assert scratch <= 16
    assert shared <= 16


def test_r11_processor_time_has_an_end(sandbox, out):
    done = run(sandbox, "while True: pass", out, Limits(memory_bytes=2048 * MIB, cpu_s=1), timeout=30)
    assert done.returncode != 0


def test_r11_what_it_leaves_running_ends_with_it(sandbox, out):
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(2); open('/out/late', 'w').write('still here')
    os._exit(0)
"""
    assert run(sandbox, code, out).returncode == 0
    # The namespace is gone with its first process, and all that was in it.
    remaining = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "still here" not in remaining


def test_r11_its_processes_are_its_own(sandbox, out):
    code = """
import json, os
killed = []
for pid in range(2, 400):
    try:
        os.kill(pid, 0); killed.append(pid)
    except OSError:
        pass
print(json.dumps([os.getpid() in killed, os.getppid(), len(killed)]))
"""
    own, _, seen = answer(run(sandbox, code, out))
    assert own
    assert seen <= 3


def test_r11_links_among_the_outputs_lead_nowhere(sandbox, out, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    code = f"""
import os
os.mkdir('/out/model'); open('/out/model/MLmodel', 'w').write('fine')
os.symlink({str(secret)!r}, '/out/metrics')
os.symlink({str(tmp_path)!r}, '/out/folder')
os.symlink('/etc/passwd', '/out/model/passwd')
os.mkfifo('/out/pipe')
"""
    assert run(sandbox, code, out).returncode == 0
    for path in ("metrics", "folder/secret", "pipe", "../secret", "missing"):
        with pytest.raises(Refused):
            read_output(out, path, 1000)
        assert not exists(out, path)
    with pytest.raises(Refused):
        copy_output(out, "model", tmp_path / "copy", largest=1000)
    assert names(out, "folder") == []
    copied = [path for path in (tmp_path / "copy").rglob("*") if path.is_file()]
    assert all(SECRET not in path.read_text() for path in copied)


def test_r11_outputs_are_taken_up_to_a_size_and_a_number(out, tmp_path):
    (out / "model").mkdir()
    for number in range(5):
        (out / "model" / f"f{number}").write_bytes(b"x" * 100)
    assert copy_output(out, "model", tmp_path / "fine", largest=500) == 500
    with pytest.raises(Refused, match="larger"):
        copy_output(out, "model", tmp_path / "large", largest=499)
    with pytest.raises(Refused, match="more files"):
        copy_output(out, "model", tmp_path / "many", largest=500, most_files=4)
    with pytest.raises(Refused, match="more than 99"):
        read_output(out, "model/f0", 99)
    assert read_output(out, "model/f0", 100) == b"x" * 100


def test_r11_a_folder_that_the_user_inside_cannot_read_is_refused(sandbox, out, tmp_path):
    if not sandbox.as_root:
        pytest.skip("the user inside is the user outside")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Refused, match=r"chmod|cannot be read") as refused:
        run(sandbox, "", out, read_only={closed: Path("/repo")})
    assert str(closed) in refused.value.fix


def test_r11_a_link_is_not_handed_over_as_a_writable_folder(sandbox, tmp_path):
    if not sandbox.as_root:
        pytest.skip("nothing is handed over")
    (tmp_path / "link").symlink_to("/etc")
    with pytest.raises(OSError, match="link"):
        run(sandbox, "", tmp_path / "link")


def test_r11_without_a_sandbox_the_environment_is_clean_and_the_paths_are_here(out, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    source = tmp_path / "tools"
    source.mkdir()
    (source / "tool.py").write_text(
        "import json, os, sys; open(sys.argv[1] + '/made', 'w').write('x'); print(json.dumps([dict(os.environ), os.getcwd()]))"
    )
    confinement = NoSandbox()
    command = confinement.argv(
        [sys.executable, "/tools/tool.py", "/out"],
        read_only={source: Path("/tools")},
        writable={out: Path("/out")},
        chdir=Path("/tools"),
        variables={"PLACE": "/out/below"},
    )
    done = subprocess.run(command, env=confinement.environment(), capture_output=True, text=True, check=True)
    environment, folder = json.loads(done.stdout)
    assert SECRET not in str(environment)
    assert environment["PLACE"] == str(out / "below")
    assert Path(folder) == source
    assert (out / "made").is_file()

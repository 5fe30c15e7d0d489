"""HiveServer2 as the Spark Thrift Server speaks it, from pyspark's wheel in an environment of its own.

It needs Java 17 or 21 (Debian: ``openjdk-17-jre-headless``). Up in about 20 seconds, about 1 GB.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from mlplatform_tests.servers.environment import environment
from mlplatform_tests.servers.hive.directory import BASE
from mlplatform_tests.servers.ports import free_port
from mlplatform_tests.servers.process import listens, running

CLASS = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
UP_S = 240.0
USER, PASSWORD = "ann", "let me in"
STORE_PASSWORD = "of the keystore"
SMALL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}
"""What makes hundreds of statements over a few rows each fast: nothing is compiled for one of them."""


@dataclass(frozen=True)
class Hive:
    """A running server. `web_port`: of Spark's REST API (`/api/v1`); `settings`: of a connection, but for the store."""

    port: int
    web_port: int
    settings: Mapping[str, Any]

    @property
    def secrets(self) -> dict[str, str]:
        """The environment that holds a connection's secrets."""
        return {"MLPLATFORM_SECRET_HIVE_PASSWORD": PASSWORD}


@contextlib.contextmanager
def secured_hive(folder: Path) -> Iterator[Hive]:
    """A server behind TLS that asks an LDAP directory who comes."""
    port = free_port()
    python = str(environment("hive") / "python")
    command = [python, str(Path(__file__).with_name("directory.py")), str(port), USER, PASSWORD]
    env = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    with running(command, ready=lambda: listens(port), log=folder / "directory.log", env=env):
        keystore, certificate = _keystore(folder)
        asked = {
            "hive.server2.authentication": "LDAP",
            "hive.server2.authentication.ldap.url": f"ldap://127.0.0.1:{port}",
            "hive.server2.authentication.ldap.baseDN": BASE,
            "hive.server2.use.SSL": "true",
            "hive.server2.keystore.path": str(keystore),
            "hive.server2.keystore.password": STORE_PASSWORD,
        }
        login = {"authentication": "ldap", "user": USER, "ssl": True, "ca_file": str(certificate)}
        with hive(folder, site=asked) as server:
            yield Hive(server.port, server.web_port, {**server.settings, **login})


@contextlib.contextmanager
def hive(
    folder: Path,
    *,
    master: str = "local[2]",
    tuned: Mapping[str, str] = SMALL,
    site: Mapping[str, str] | None = None,
) -> Iterator[Hive]:
    """A server of its own with nothing in it: warehouse, metastore and log lie in `folder`.

    `master`: ``local-cluster[2,1,1024]`` starts two executor processes with a core and 1,024 MB each. `tuned`: Spark's
    configuration, `site`: Hive's.
    """
    java = _java("java")
    spark = next(environment("hive").parent.glob("lib/python*/site-packages/pyspark"))
    port, web_port = free_port(), free_port()
    settings = {
        "spark.master": master,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -Dderby.system.home={folder} "
        "-Dderby.system.durability=test",
        "spark.log.level": "WARN",
        "spark.ui.port": str(web_port),
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.local.dir": str(folder / "scratch"),
        "spark.hadoop.hive.server2.thrift.port": str(port),
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/metastore_db;create=true",
        **tuned,
    }
    command = [str(spark / "bin" / "spark-submit"), "--class", CLASS, "--name", "hive"]
    command += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    conf = folder / "conf"
    conf.mkdir()
    (conf / "hive-site.xml").write_text(_site(site or {}), "utf-8")
    env = {
        "PATH": f"{Path(java).parent}:/usr/bin:/bin",
        "SPARK_CONF_DIR": str(conf),
        "HOME": str(folder),
        "SPARK_HOME": str(spark),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }
    with running(
        [*command, "spark-internal"],
        ready=lambda: listens(port),
        log=folder / "hive.log",
        env=env,
        cwd=folder,
        deadline_s=UP_S,
    ):
        yield Hive(port, web_port, {"host": "127.0.0.1", "port": port})


def _site(settings: Mapping[str, str]) -> str:
    """Hive's own file of settings: who asks a directory reads nothing else."""
    root = ElementTree.Element("configuration")
    for name, value in settings.items():
        entry = ElementTree.SubElement(root, "property")
        ElementTree.SubElement(entry, "name").text = name
        ElementTree.SubElement(entry, "value").text = value
    return ElementTree.tostring(root, encoding="unicode")


def _keystore(folder: Path) -> tuple[Path, Path]:
    """A key for 127.0.0.1 as Java keeps it, and its certificate as a PEM file."""
    keystore, certificate = folder / "keystore.p12", folder / "certificate.pem"
    which = ["-keystore", str(keystore), "-storepass", STORE_PASSWORD, "-alias", "hive"]
    kind = ["-keyalg", "RSA", "-storetype", "PKCS12", "-validity", "2", "-dname", "CN=127.0.0.1"]
    for asked in (
        ["-genkeypair", *which, *kind, "-ext", "san=ip:127.0.0.1"],
        ["-exportcert", *which, "-rfc", "-file", str(certificate)],
    ):
        done = subprocess.run([_java("keytool"), *asked], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"keytool: {done.stdout}{done.stderr}")
    return keystore, certificate


def _java(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"There is no {program} on the path: apt-get install openjdk-17-jre-headless")
    return found

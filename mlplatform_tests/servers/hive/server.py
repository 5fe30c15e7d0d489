"""HiveServer2 as the Spark Thrift Server speaks it, from pyspark's wheel in an environment of its own.

It needs Java 17 or 21 (Debian: ``openjdk-17-jre-headless``). Up in about 20 seconds, about 1 GB.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlplatform_tests.servers.environment import environment
from mlplatform_tests.servers.process import free_port, listens, running

CLASS = "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"
UP_S = 240.0
SMALL = {
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.parquet.compression.codec": "snappy",
}
"""What makes hundreds of statements over a few rows each fast: nothing is compiled for one of them."""


@dataclass(frozen=True)
class Hive:
    """A running server. `web_port`: of Spark's REST API (`/api/v1`)."""

    port: int
    web_port: int
    folder: Path

    @property
    def settings(self) -> dict[str, Any]:
        """Settings of a connection to it, but for the store."""
        return {"host": "127.0.0.1", "port": self.port, "authentication": "none"}


@contextlib.contextmanager
def hive(folder: Path, *, master: str = "local[2]", more: Mapping[str, str] | None = None) -> Iterator[Hive]:
    """A server of its own with nothing in it: warehouse, metastore and log lie in `folder`; `more`: its configuration.

    `master`: ``local-cluster[2,1,1024]`` starts two executor processes with a core and 1,024 MB each.
    """
    java = shutil.which("java")
    if java is None:
        raise FileNotFoundError("There is no java on the path: apt-get install openjdk-17-jre-headless")
    spark = next(environment("hive").parent.glob("lib/python*/site-packages/pyspark"))
    port, web_port = free_port(), free_port()
    settings = {
        "spark.master": master,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.driver.extraJavaOptions": f"-XX:TieredStopAtLevel=1 -Dderby.system.home={folder} -Dderby.system.durability=test",
        "spark.log.level": "WARN",
        "spark.ui.port": str(web_port),
        "spark.ui.showConsoleProgress": "false",
        **SMALL,
        "spark.sql.warehouse.dir": (folder / "warehouse").as_uri(),
        "spark.local.dir": str(folder / "scratch"),
        "spark.hadoop.hive.server2.thrift.port": str(port),
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={folder}/metastore_db;create=true",
        **(more or {}),
    }
    command = [str(spark / "bin" / "spark-submit"), "--class", CLASS, "--name", "hive"]
    command += [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
    env = {
        "PATH": f"{Path(java).parent}:/usr/bin:/bin",
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
        yield Hive(port, web_port, folder)

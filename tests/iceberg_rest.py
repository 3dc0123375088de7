"""A REST catalog to test against, made of Iceberg's own handlers."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import requests

from harness import DEADLINE, ROOT, Json, Server, answers, free_port, until
from iceberg_tables import PYTHON, runtime


def jars() -> list[str]:
    """Iceberg, and what it leaves to Spark."""
    library = runtime()
    (spark,) = PYTHON.parents[1].glob("lib/*/site-packages/pyspark/jars")
    return [str(library), f"{spark}/*"]


class RestCatalog(Server):
    """The catalog, as long as a test module runs."""

    def __init__(self, folder: Path, warehouse: str = "") -> None:
        classes, port = folder / "classes", free_port()
        source = ROOT / "tests" / "iceberg" / "RestCatalog.java"
        if not shutil.which("javac"):
            pytest.fail("no javac") if os.environ.get("CI") else pytest.skip("there is no javac")
        path = ":".join(jars())
        subprocess.run(["javac", "-cp", path, "-d", classes, source], check=True, capture_output=True)
        java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m", "-cp", f"{classes}:{path}"]
        command = [*java, "org.apache.iceberg.rest.RestCatalog", port, warehouse or folder / "warehouse"]
        Server.__init__(self, command, {}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.uri = f"http://127.0.0.1:{port}"
        until(lambda: answers(f"{self.uri}/v1/config"), self.process)

    def settings(self, namespace: str, **more: object) -> Json:
        """The settings of the target."""
        return {"type": "rest", "rest": {"uri": self.uri, "namespace": namespace, **more}}

    def answer_next_commit(self, status: int) -> None:
        """The next commit is done, and its answer says something else."""
        requests.post(f"{self.uri}/_control/fault?status={status}", timeout=DEADLINE).raise_for_status()

    def metadata(self, namespace: str, table: str) -> Json:
        answer = requests.get(f"{self.uri}/v1/namespaces/{namespace}/tables/{table}", timeout=DEADLINE)
        answer.raise_for_status()
        metadata: Json = answer.json()["metadata"]
        return metadata

    def rows(self, namespace: str, table: str) -> list[Json]:
        """The rows as Iceberg's own library reads them."""
        answer = requests.get(f"{self.uri}/_control/rows/{namespace}/{table}", timeout=DEADLINE)
        answer.raise_for_status()
        rows: list[Json] = answer.json()
        return rows

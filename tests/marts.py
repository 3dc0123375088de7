"""Runs the dbt project on a lake, and reads what it makes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb

from harness import ROOT, Json, Run, run

DBT = ROOT / ".venv-dbt" / "bin" / "dbt"
PROJECT = ROOT / "dbt"
PATIENCE = 280
"""Seconds after which dbt hangs: it takes ten, of a machine that does nothing else."""


class Marts:
    """What the project makes of a lake, in a folder of its own."""

    def __init__(self, folder: Path, lake: Path | str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.lake = folder, lake
        self.target = folder / "target"
        self.database = folder / "marts.duckdb"

    def dbt(
        self,
        verb: str,
        *flags: str,
        variables: Json | None = None,
        env: dict[str, str] | None = None,
        profile: Path = PROJECT,
    ) -> Run:
        """A command of dbt's."""
        assert DBT.exists(), "there is no dbt: make .venv-dbt/.ready"
        places = ["--project-dir", PROJECT, "--profiles-dir", profile]
        places += ["--target-path", self.target, "--log-path", self.folder / "logs"]
        return run(
            DBT,
            "--no-use-colors",
            *verb.split(),
            *places,
            "--vars",
            json.dumps(variables or {}),
            *flags,
            env={"WISTIA_LAKE": str(self.lake), "WISTIA_DUCKDB": str(self.database), **(env or {})},
            cwd=PROJECT,
            timeout=PATIENCE,
        )

    def build(self, *flags: str, **more: Any) -> Run:
        """Models, seeds and tests; all of them must succeed."""
        done = self.dbt("build", *flags, **more)
        assert done.code == 0, done.out[-6000:] + done.err[-2000:]
        return done

    def ask(self, query: str) -> list[Json]:
        """The rows of an answer, with days as they are in JSON."""
        with duckdb.connect(str(self.database), read_only=True) as connection:
            answer = connection.execute(query)
            names = [column[0] for column in answer.description]
            rows = [dict(zip(names, row, strict=True)) for row in answer.fetchall()]
        return [
            {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items()}
            for row in rows
        ]

    def columns(self) -> dict[str, list[str]]:
        """The columns of each table and view."""
        found: dict[str, list[str]] = {}
        query = (
            "select table_name, column_name from information_schema.columns where table_schema = 'wistia' "
            "order by table_name, ordinal_position"
        )
        for row in self.ask(query):
            found.setdefault(row["table_name"], []).append(row["column_name"])
        return found


def part_of(lake: Path, tables: list[str], folder: Path) -> Path:
    """A lake that has some tables of another."""
    folder.mkdir(parents=True)
    for table in tables:
        shutil.copytree(lake / table, folder / table)
    return folder

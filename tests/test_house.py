"""The laws of the house that no compiler keeps: which crate may know which, and what none of them says.

Circles between files are looked for by the crates themselves (`tests/house.rs` of each).
"""

import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_KNOW = {
    "lake": set(),
    "connector-program": set(),
    "connector-protocol": set(),
    "target-s3-parquet": {"lake", "connector-program", "connector-protocol"},
    "tap-wistia": {"connector-program", "connector-protocol"},
    "wistia-simulator": set(),
}
FOREIGN_TO = {
    # Below the engine nothing knows by which protocol a row came, nor of a command line.
    "lake": r"singer|meltano|wistia|\bclap\b|schemars",
    "protocol": r"\bclap\b|schemars::gen|std::fs|std::net|reqwest|tokio",
    "target-s3-parquet/src/decode": r"airbyte",
    "target-s3-parquet/src/input": r"airbyte",
    "target-s3-parquet/src/engine": r"airbyte",
    "tap-wistia/src/sync": r"airbyte",
}
LONGEST = 500
"""Lines of a file without its tests: beyond, it holds more than one idea."""


def sources(below):
    path = ROOT / below
    files = [path.with_suffix(".rs")] if path.with_suffix(".rs").is_file() else []
    return files + sorted(path.rglob("*.rs"))


def product(file):
    """A file without its tests."""
    begin = r"^#\[cfg\(test\)\]\n(?:pub(?:\([^)]*\))? )?mod \w+ \{"
    return re.split(begin, file.read_text(), maxsplit=1, flags=re.M)[0]


def code(file):
    """A file without its tests and comments."""
    text = product(file)
    return "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("//"))


def is_product(file):
    return not {"tests", "benches", "fuzz"} & set(file.relative_to(ROOT).parts) and file.stem not in (
        "tests",
        "testing",
    )


def test_no_crate_knows_another_that_it_must_not():
    command = ["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout)["packages"]
    known = {
        package["name"]: {dependency["name"] for dependency in package["dependencies"] if dependency.get("path")}
        for package in packages
    }
    assert set(known) == set(MAY_KNOW)
    for name, others in known.items():
        assert others <= MAY_KNOW[name], f"{name} knows {others - MAY_KNOW[name]}"


@pytest.mark.parametrize("below", FOREIGN_TO)
def test_no_code_speaks_of_what_is_foreign_to_it(below):
    files = [file for file in sources(below) if is_product(file)]
    assert files
    for file in files:
        said = re.search(FOREIGN_TO[below], code(file), flags=re.I)
        assert not said, f"{file.relative_to(ROOT)} says `{said.group()}`"


def test_no_file_holds_two_ideas():
    folders = ["lake", "program", "protocol", "tap-wistia", "target-s3-parquet", "wistia-simulator"]
    for file in (file for folder in folders for file in sources(f"{folder}/src") if is_product(file)):
        assert len(product(file).splitlines()) <= LONGEST, file


def test_what_an_image_leaves_out_is_no_part_of_the_sources():
    ignored = (ROOT / "deploy/fargate/Dockerfile.dockerignore").read_text().split()
    assert ignored
    tracked = subprocess.run(["git", "ls-files", *ignored], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert tracked == ""


def test_a_feature_is_asked_for_where_its_module_is_chosen_alone():
    asking = {
        str(file.relative_to(ROOT))
        for folder in MAY_KNOW
        for file in sources(f"{folder.removeprefix('connector-')}/src")
        if re.search(r"\bcfg\((?:not\()?feature", code(file))
    }
    assert asking == {
        "lake/src/lib.rs",
        "lake/src/aws/mod.rs",
        "lake/src/format/mod.rs",
        "lake/src/format/iceberg/mod.rs",
        "lake/src/maintain/mod.rs",
        "lake/src/store/mod.rs",
        "lake/src/write/mod.rs",
        "program/src/lib.rs",
        "tap-wistia/src/lib.rs",
    }
    iceberg = [f"lake/src/{name}/iceberg" for name in ("format", "maintain", "write")]
    catalogs = [f"lake/src/format/iceberg/{name}" for name in ("glue", "rest")]
    modules = ("lake/src/aws", "lake/src/catalog", "lake/src/store/s3", "program/src/lineage", "program/src/telemetry")
    for name in (*modules, *iceberg, *catalogs, "tap-wistia/src/bucket"):
        assert (ROOT / name / "absent.rs").is_file()

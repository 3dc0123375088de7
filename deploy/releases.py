"""What a release consists of."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from stacks import HERE, Failure

PROGRAMS = ("tap-wistia", "target-s3-parquet")


def program(path: Path) -> tuple[str, bytes]:
    """The name and the bytes of a program: of the file itself, or of the one in a wheel."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if Path(name).name in PROGRAMS and "/scripts/" in name:
                    return Path(name).name, wheel.read(name)
        raise Failure(f"{path} is a wheel without {' or '.join(PROGRAMS)}")
    if path.name not in PROGRAMS:
        raise Failure(f"{path} is neither a wheel nor {' or '.join(PROGRAMS)}")
    return path.name, path.read_bytes()


def pack(paths: list[Path]) -> dict[str, bytes]:
    """The files of a release: both programs, the launcher, the job for Spark, and the settings of deploy/config."""
    files = dict(map(program, paths))
    missing = [name for name in PROGRAMS if name not in files]
    if missing:
        raise Failure(f"{' and '.join(missing)} is missing; name both programs, or their wheels")
    files["nightly.py"] = (HERE / "glue" / "nightly.py").read_bytes()
    files["merge.py"] = (HERE / "spark" / "merge.py").read_bytes()
    for config in sorted((HERE / "config").glob("*.json")):
        files[config.name] = config.read_bytes()
    return files


def manifest(files: Mapping[str, bytes]) -> bytes:
    """What a release consists of. The job is given its checksum, and it all others."""
    entries = {name: {"sha256": checksum(content), "size": len(content)} for name, content in sorted(files.items())}
    return (json.dumps({"files": entries}, indent=2) + "\n").encode()


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def name_of(listed: bytes) -> str:
    """The commit that is checked out, as the name of its release; and of what is in it, where more lies here than that
    commit has: another change then has another name."""
    commit = git("rev-parse", "HEAD").strip()
    return f"{commit}-dirty-{checksum(listed)[:8]}" if git("status", "--porcelain") else commit


def git(*words: str) -> str:
    found = subprocess.run(["git", "-C", str(HERE), *words], capture_output=True, text=True)
    if found.returncode:
        raise Failure("this is no git checkout; name the release with --id")
    return found.stdout

"""The programs as the wheels in dist hold them."""

import os
import tempfile
import zipfile
from pathlib import Path

from harness import ROOT

DIST = Path(os.environ.get("WHEELS", ROOT / "dist"))
WHEELS = {wheel.name.split("-")[0].replace("_", "-"): wheel for wheel in DIST.glob("*.whl")}
FOLDER = tempfile.TemporaryDirectory()


def program(name):
    """A program out of its wheel."""
    path = Path(FOLDER.name) / name
    if not path.exists():
        with zipfile.ZipFile(WHEELS[name]) as wheel:
            (member,) = (member for member in wheel.namelist() if member.endswith(f".data/scripts/{name}"))
            path.write_bytes(wheel.read(member))
        path.chmod(0o755)
    return str(path)

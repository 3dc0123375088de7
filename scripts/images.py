"""Makes the images of a release out of its wheels: images.py DIST FOLDER

Each image has the program of the wheel, is built by airbyte/build.sh, answers once, and is saved as
FOLDER/<name>-<processor>.tar for whoever may publish it.
"""

import os
import platform
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IMAGES = {"source-wistia": "tap-wistia", "destination-s3-parquet": "target-s3-parquet"}
PROCESSORS = {"x86_64": "amd64", "aarch64": "arm64"}


def unpacked(wheels, folder):
    """The programs of wheels, in a folder."""
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            (script,) = (name for name in archive.namelist() if ".data/scripts/" in name)
            program = folder / script.rsplit("/", 1)[1]
            program.write_bytes(archive.read(script))
            program.chmod(0o755)


def main(dist, folder):
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    processor = PROCESSORS[platform.machine()]
    with tempfile.TemporaryDirectory() as programs:
        unpacked(sorted(Path(dist).glob("*.whl")), Path(programs))
        for image, program in IMAGES.items():
            env = {**os.environ, "BINARIES": programs}
            subprocess.run([ROOT / "airbyte" / "build.sh", image, "release"], check=True, env=env)
            tag = f"{os.environ.get('REPOSITORY', 'airbyte')}/{image}:release"
            said = subprocess.check_output(["docker", "run", "--rm", "--network", "none", tag, "--version"], text=True)
            assert said.startswith(f"{program} "), said
            saved = folder / f"{image}-{processor}.tar"
            subprocess.run(["docker", "save", "--output", saved, tag], check=True)
            print(f"{saved}  {saved.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])

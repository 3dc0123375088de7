"""Makes the archives of a release out of wheels: a program with its completions, man page, licence and SBOM.

The programs in archives and wheels are the same bytes.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

LICENSE = Path(__file__).resolve().parent.parent / "LICENSE"
SHELLS = {"bash": "{}.bash", "zsh": "_{}", "fish": "{}.fish"}


def contents(wheel):
    """What an archive holds, by name."""
    with zipfile.ZipFile(wheel) as archive:
        (script,) = (name for name in archive.namelist() if ".data/scripts/" in name)
        (sbom,) = (name for name in archive.namelist() if name.endswith(".cyclonedx.json"))
        program, bill = archive.read(script), archive.read(sbom)
    name = script.rsplit("/", 1)[1]
    files = {name: program, "sbom.cyclonedx.json": bill, "LICENSE": LICENSE.read_bytes()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(program)
        path.chmod(0o755)
        for shell, file in SHELLS.items():
            files[f"completions/{file.format(name)}"] = subprocess.check_output([path, "completions", shell])
        files[f"man/{name}.1"] = subprocess.check_output([path, "man"])
    return name, files


def main(folder, platform):
    for wheel in sorted(Path(folder).glob("*.whl")):
        name, files = contents(wheel)
        stem = f"{name}-{wheel.name.split('-')[1]}-{platform}"
        with tarfile.open(Path(folder) / f"{stem}.tar.gz", "w:gz") as archive:
            for file, data in files.items():
                member = tarfile.TarInfo(f"{stem}/{file}")
                member.size, member.mode = len(data), 0o755 if file == name else 0o644
                archive.addfile(member, io.BytesIO(data))
        print(f"{stem}.tar.gz")


if __name__ == "__main__":
    main(*sys.argv[1:])

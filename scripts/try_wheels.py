"""Installs wheels into a clean virtual environment and runs what they bring.

With --largest a program that has more bytes than that is an error.
"""

import argparse
import json
import subprocess
import tempfile
import venv
from pathlib import Path

MESSAGES = [
    {"type": "SCHEMA", "stream": "s", "key_properties": ["id"], "schema": {"properties": {"id": {"type": "integer"}}}},
    {"type": "RECORD", "stream": "s", "record": {"id": 1}},
    {"type": "STATE", "value": {"id": 1}},
]


def main(folder, largest):
    wheels = sorted(Path(folder).glob("*.whl"))
    names = [wheel.name.split("-")[0] for wheel in wheels]
    assert names == ["tap_wistia", "target_s3_parquet"], f"{folder} holds {names}"
    with tempfile.TemporaryDirectory() as home:
        home = Path(home)
        venv.create(home / "venv", with_pip=True)
        programs = home / "venv" / "bin"

        def call(name, *arguments, **options):
            return subprocess.run(
                [programs / name, *arguments], check=True, capture_output=True, text=True, cwd=home, **options
            ).stdout

        call("pip", "install", "--no-index", "--no-deps", *(str(wheel.resolve()) for wheel in wheels))
        for name, wheel in zip(("tap-wistia", "target-s3-parquet"), wheels, strict=True):
            version = wheel.name.split("-")[1]
            assert call(name, "--version").split() == [name, version]
            assert json.loads(call(name, "--about", "--format=json"))["version"] == version
        assert json.loads(call("tap-wistia", "--discover"))["streams"]
        config = home / "target.json"
        config.write_text(json.dumps({"destination": str(home / "lake")}))
        state = call(
            "target-s3-parquet", "--config", str(config), input="".join(json.dumps(m) + "\n" for m in MESSAGES)
        )
        assert json.loads(state) == {"id": 1}
        assert list(home.glob("lake/s/*.parquet"))
        for name in ("tap-wistia", "target-s3-parquet"):
            size = (programs / name).stat().st_size
            print(f"{name}  {size:,} bytes")
            assert largest is None or size <= largest, f"{name} has {size:,} bytes, and {largest:,} at most are allowed"
        call("pip", "uninstall", "--yes", *names)
        left = sorted(path.name for path in programs.iterdir() if path.name in ("tap-wistia", "target-s3-parquet"))
        assert not left, f"uninstalling leaves {left}"
    for wheel in wheels:
        print(f"{wheel}  {wheel.stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", help="folder of the wheels")
    parser.add_argument("--largest", type=int, help="bytes that a program may have")
    main(**vars(parser.parse_args()))

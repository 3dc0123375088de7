"""`make run`: what is built, and what is used where it is installed. Cargo and the programs are stand-ins."""

import os
import subprocess

import pytest

from harness import ROOT

CARGO = """
echo "$*" >> calls
mkdir -p target/demo
echo 'echo built >> used' | tee target/demo/tap-wistia > target/demo/target-s3-parquet
cat > target/demo/wistia-simulator << 'END'
echo '{"url": "http://127.0.0.1:1/v1", "token": "t"}'
exec sleep 60
END
sed -i '1i #!/bin/bash' target/demo/*
chmod +x target/demo/*
"""
PROGRAM = """
case "$1" in
    --version) echo "{name} {version}" ;;
    *) echo installed >> used ;;
esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def ran(tmp_path):
    """Runs the script in a folder of its own: what it said, how cargo was called, which programs were used."""
    program(tmp_path / "scripts" / "run.sh", (ROOT / "scripts" / "run.sh").read_text())
    program(tmp_path / ".venv-run" / "bin" / "python", 'if [ "$1" = -c ]; then exec python3 "$@"; fi')
    program(tmp_path / "bin" / "cargo", CARGO)
    (tmp_path / "Cargo.toml").write_text('[workspace.package]\nversion = "1.2.3"\n')

    def run(installed=None, **variables):
        for name in ("tap-wistia", "target-s3-parquet"):
            if installed:
                program(tmp_path / "bin" / name, PROGRAM.format(name=name, version=installed))
        done = subprocess.run(
            [tmp_path / "scripts" / "run.sh"],
            env={"PATH": f"{tmp_path / 'bin'}{os.pathsep}/usr/bin:/bin", "HOME": str(tmp_path), **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        calls, used = ((tmp_path / name) for name in ("calls", "used"))
        return done.stderr + done.stdout, calls.read_text() if calls.exists() else "", set(used.read_text().split())

    return run


def test_it_ends_with_the_page_and_without_one_it_says_why(ran, tmp_path):
    def page_of(recipe):
        (tmp_path / "Makefile").write_text(f"report:\n\t@{recipe}\n")
        return ran(installed="1.2.3", TAP_WISTIA_API_TOKEN="mine")

    assert "Open it in a browser, the page of local/lake" in page_of("echo the page of $(LAKE)")[0]
    said = page_of("echo no room; exit 1")[0]
    assert "no room" in said and "The page could not be made (above is why). The lake is complete" in said


BUILD = "build --profile demo --no-default-features --locked"
ALL = " --package=tap-wistia --package=target-s3-parquet --package=wistia-simulator"


def test_nothing_installed_builds_what_a_folder_needs_and_says_how_long_it_takes(ran):
    said, calls, used = ran()
    assert "building tap-wistia target-s3-parquet wistia-simulator (about 5 minutes the first time)" in said
    assert (calls, used) == (f"{BUILD}{ALL}\n", {"built"})
    assert "first time" not in ran()[0]


def test_what_is_installed_of_this_version_is_used_and_said(ran):
    said, calls, used = ran(installed="1.2.3", TAP_WISTIA_API_TOKEN="mine")
    assert "/bin/tap-wistia and " in said and "BUILD=1 make run" in said
    assert (calls, used) == ("", {"installed"})


def test_without_a_token_the_simulator_is_built_beside_what_is_installed(ran):
    _, calls, used = ran(installed="1.2.3")
    assert (calls, used) == (f"{BUILD} --package=wistia-simulator\n", {"installed"})


@pytest.mark.parametrize(("installed", "variables"), [("1.2.2", {}), ("1.2.3", {"BUILD": "1"})])
def test_another_version_and_whoever_wants_it_build(ran, installed, variables):
    _, calls, used = ran(installed=installed, **variables)
    assert (calls, used) == (f"{BUILD}{ALL}\n", {"built"})

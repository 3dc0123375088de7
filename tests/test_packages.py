"""What a release is installed from: Homebrew's formulas, Meltano Hub's definitions."""

import hashlib
import re
import subprocess
import sys

import pytest
import tree_sitter
import tree_sitter_ruby
import yaml

from harness import ROOT

PROGRAMS = ["tap-wistia", "target-s3-parquet"]
RELEASE = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
PLATFORMS = [entry["platform"] for entry in RELEASE["jobs"]["build"]["strategy"]["matrix"]["include"]]


@pytest.fixture
def dist(tmp_path):
    """The archives of a release, one for each platform that the workflow builds for."""
    for program in PROGRAMS:
        for platform in PLATFORMS:
            (tmp_path / f"{program}-1.2.3-{platform}.tar.gz").write_bytes(f"{program} for {platform}".encode())
    return tmp_path


def made(dist):
    return subprocess.run(
        [sys.executable, ROOT / "scripts" / "formula.py", dist, "v1.2.3"], capture_output=True, text=True
    )


def faults(text):
    """Where a source is no Ruby."""
    tree = tree_sitter.Parser(tree_sitter.Language(tree_sitter_ruby.language())).parse(text.encode())
    found, nodes = [], [tree.root_node]
    while nodes:
        node = nodes.pop()
        found += [node.start_point] if node.is_error or node.is_missing else []
        nodes += node.children
    return found


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_formula_is_ruby_and_has_every_archive_of_a_release_with_its_checksum(program, dist):
    done = made(dist)
    assert done.returncode == 0, done.stderr
    text = (dist / f"{program}.rb").read_text()
    assert not faults(text), text
    assert re.search(r"^class (\w+) < Formula$", text, re.M)[1] == program.title().replace("-", "")
    assert 'version "1.2.3"' in text
    found = dict(re.findall(r'url "(\S+)"\n +sha256 "([0-9a-f]{64})"', text))
    where = "https://github.com/tap-wistia/tap-wistia/releases/download/v1.2.3"
    assert found == {
        f"{where}/{archive.name}": hashlib.sha256(archive.read_bytes()).hexdigest()
        for archive in dist.glob(f"{program}-*.tar.gz")
    }
    assert len(found) == len(PLATFORMS)


@pytest.mark.parametrize(
    ("system", "processor", "platform"),
    [
        ("macos", "arm", "aarch64-apple-darwin"),
        ("macos", "intel", "x86_64-apple-darwin"),
        ("linux", "arm", "aarch64-unknown-linux-gnu"),
        ("linux", "intel", "x86_64-unknown-linux-gnu"),
    ],
)
def test_a_formula_gives_each_machine_its_own_program(system, processor, platform, dist):
    made(dist)
    text = (dist / "tap-wistia.rb").read_text()
    (of_system,) = re.findall(rf"^  on_{system} do\n(.*?)^  end$", text, re.M | re.S)
    (of_processor,) = re.findall(rf"^    on_{processor} do\n(.*?)^    end$", of_system, re.M | re.S)
    assert f"-{platform}.tar.gz" in of_processor


def test_what_a_formula_installs_is_in_the_archive(dist):
    made(dist)
    archive = (ROOT / "scripts" / "archive.py").read_text()
    for folder, name in re.findall(r'"(completions|man)/([^"]+)"', (dist / "target-s3-parquet.rb").read_text()):
        form = name.replace("target-s3-parquet", "{}")
        assert f'"{form}"' in archive or f"{folder}/{form.format('{name}')}" in archive


def test_a_release_without_an_archive_has_no_formula(dist):
    (dist / f"tap-wistia-1.2.3-{PLATFORMS[0]}.tar.gz").unlink()
    assert made(dist).returncode != 0


def test_a_source_that_is_no_ruby_is_seen():
    assert faults("class A < Formula\n  def install\n    bin.install\n")

"""What a release is installed from: Homebrew's formulas, Meltano Hub's definitions."""

import hashlib
import json
import re
import subprocess
import sys

import jsonschema
import pytest
import referencing
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


HUB = ROOT / "tests" / "fixtures" / "meltano_hub"
"""The schemas of Meltano Hub, https://github.com/meltano/hub/tree/main/schemas, of 2026-08-02."""

DEFAULTS = "extractors:\n  tap-whisky: a\n  tap-wix: b\nfiles:\n  files-dbt: c\nloaders:\n  target-s3: d\n"
MAINTAINERS = "singer-io:\n  label: S\n  name: singer-io\n  url: https://github.com/singer-io\nzed:\n  label: Z\n"


@pytest.fixture
def hub(tmp_path):
    """A clone of the Hub, as far as it is touched."""
    for folder in ("_data", "static/assets/logos/extractors", "static/assets/logos/loaders", "hub-utils/other_scripts"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "_data" / "default_variants.yml").write_text(DEFAULTS)
    (tmp_path / "_data" / "maintainers.yml").write_text(MAINTAINERS)
    (tmp_path / "hub-utils" / "other_scripts" / "placeholder.png").write_bytes(b"a picture")
    (tmp_path / "static" / "assets" / "logos" / "loaders" / "s3-parquet.png").write_bytes(b"theirs")
    return tmp_path


def proposed(hub):
    subprocess.run([sys.executable, ROOT / "scripts" / "meltano_hub.py", hub], check=True)
    return {str(file.relative_to(hub)): file.read_bytes() for file in hub.rglob("*") if file.is_file()}


@pytest.mark.parametrize(("kind", "plugin"), [("extractors", "tap-wistia"), ("loaders", "target-s3-parquet")])
def test_a_definition_is_what_the_hub_takes(kind, plugin, hub):
    proposed(hub)
    place = hub / "_data" / "meltano" / kind / plugin / "tap-wistia.yml"
    definition = yaml.safe_load(place.read_text())
    schemas = [(path.relative_to(HUB).as_posix(), json.loads(path.read_text())) for path in HUB.rglob("*.json")]
    resources = [
        (f"http://hub/{name}", referencing.Resource.from_contents({**schema, "$id": f"http://hub/{name}"}))
        for name, schema in schemas
    ]
    schema = {"$ref": f"http://hub/plugin_definitions/{kind}.schema.json"}
    validator = jsonschema.Draft7Validator(schema, registry=referencing.Registry().with_resources(resources))
    assert not [error.message for error in validator.iter_errors(definition)]
    assert [error.message for error in validator.iter_errors({**definition, "capabilites": []})]
    assert list(definition) == sorted(definition)
    assert (definition["name"], definition["variant"]) == (plugin, "tap-wistia")
    assert (hub / f"static{definition['logo_url']}").is_file()


def test_the_hub_keeps_what_it_has_and_lists_what_is_new_in_its_order(hub):
    once = proposed(hub)
    defaults = yaml.safe_load(once["_data/default_variants.yml"])
    assert list(defaults["extractors"]) == ["tap-whisky", "tap-wistia", "tap-wix"]
    assert list(defaults["loaders"]) == ["target-s3", "target-s3-parquet"]
    assert list(yaml.safe_load(once["_data/maintainers.yml"])) == ["singer-io", "tap-wistia", "zed"]
    assert once["static/assets/logos/loaders/s3-parquet.png"] == b"theirs"
    assert proposed(hub) == once, "a second time nothing changes"


def test_nobody_loses_a_default_variant(hub):
    (hub / "_data" / "default_variants.yml").write_text(DEFAULTS + "  target-s3-parquet: others\n")
    once = proposed(hub)
    assert yaml.safe_load(once["_data/default_variants.yml"])["loaders"]["target-s3-parquet"] == "others"

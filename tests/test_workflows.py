"""What the workflows run was run before GitHub runs it, and what they open is opened to nobody else."""

import functools
import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from harness import ROOT

WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}

NOT_RUN_HERE = {
    r'rustup toolchain install "\$RUST_VERSION" .*': "the toolchain of a runner is GitHub's",
    r"make advisories": "RustSec's list is on GitHub",
    r"make wheels": "a build of many minutes, and a change that breaks it is seen by trying the wheels",
    r"docker (build|run) .*": "base images are fetched from a registry",
}
"""What .ci/run leaves out of CI, and why."""


def jobs(*workflows):
    """Each job as (workflow, name, job)."""
    return [
        (workflow, name, job)
        for workflow, parsed in sorted(WORKFLOWS.items())
        if not workflows or workflow in workflows
        for name, job in parsed["jobs"].items()
    ]


def commands(job):
    """The lines that a job gives to a shell, continued ones as one."""
    scripts = [step["run"] for step in job.get("steps", []) if "run" in step]
    return [line.strip() for script in scripts for line in script.replace("\\\n", " ").splitlines() if line.strip()]


@functools.cache
def made(*targets):
    """The commands of make targets, with those of the targets that they call."""
    found = []
    for target in targets:
        asked = subprocess.run(["make", "-n", "-B", target], cwd=ROOT, capture_output=True, text=True)
        assert asked.returncode == 0, asked.stderr
        found += [line.strip() for line in asked.stdout.replace("\\\n", " ").splitlines()]
    return frozenset(found)


@functools.cache
def run_before_a_change_lands():
    called = re.findall(r"^make (\S+)$", (ROOT / ".ci" / "run").read_text(), flags=re.M)
    return made(*called)


@pytest.mark.parametrize("command", sorted({line for _, _, job in jobs("ci.yml") for line in commands(job)}))
def test_what_ci_runs_was_run_before(command):
    if any(re.fullmatch(pattern, command) for pattern in NOT_RUN_HERE):
        return
    target = re.fullmatch(r"make ([\w-]+)", command)
    assert target, f"`{command}` is run by GitHub alone; make it a target that .ci/run calls, or say why not"
    assert made(target[1]) <= run_before_a_change_lands(), f"`{command}` has parts that .ci/run does not run"


@pytest.mark.parametrize("pattern", NOT_RUN_HERE)
def test_what_is_left_out_is_in_ci(pattern):
    assert [line for _, _, job in jobs("ci.yml") for line in commands(job) if re.fullmatch(pattern, line)]


@pytest.mark.parametrize("command", sorted({line for _, _, job in jobs() for line in commands(job)}))
def test_make_knows_the_targets_that_workflows_name(command):
    for target in re.findall(r"^make ([\w./-]+)", command):
        assert made(target)


def test_a_change_is_held_against_licences_bans_sources_and_the_auditor_of_workflows():
    before = " ".join(run_before_a_change_lands())
    assert "cargo-deny --locked check bans licenses sources" in before
    assert "cargo-deny --locked --manifest-path fuzz/Cargo.toml check bans sources" in before
    assert re.search(r"zizmor --offline --strict-collection .*--persona auditor \.github", before)
    assert "cargo-deny --locked check advisories" in " ".join(made("advisories"))


RIGHTS = {"actions/checkout", "actions/download-artifact", "actions/attest-build-provenance"}
RIGHTS |= {"aws-actions/configure-aws-credentials", "pypa/gh-action-pypi-publish"}
"""The actions beside rights: fetching what was built, and what the rights are for."""

INSTALLS = r"\b(cargo|rustup|make|maturin|pipx?|uvx?|npm|npx|apt-get|apt|curl|wget|setup\.py)\b"
INSTALLS += r"|\bdocker\s|\bpodman (build|run|pull|create|load|import|compose)\b"


def has_rights(job):
    granted = job.get("permissions", {})
    if isinstance(granted, str):
        return granted != "read-all"
    return "environment" in job or "secrets." in str(job) or "write" in granted.values()


PRIVILEGED = [pytest.param(workflow, job, id=f"{workflow}-{name}") for workflow, name, job in jobs() if has_rights(job)]


def passed_before(workflow, job):
    """The names of all jobs that must have passed before."""
    needs = job.get("needs", [])
    needs = {needs} if isinstance(needs, str) else set(needs)
    return needs.union(*(passed_before(workflow, WORKFLOWS[workflow]["jobs"][name]) for name in needs))


def used(job):
    return [step["uses"].partition("@")[0] for step in job.get("steps", []) if "uses" in step]


def test_rights_are_where_they_are_thought_to_be():
    found = {(workflow, name) for workflow, name, job in jobs() if has_rights(job)}
    assert found == {
        ("deploy-glue-job.yml", "deploy"),
        ("nightly.yml", "sync"),
        ("release.yml", "release"),
        ("release.yml", "images"),
        ("release.yml", "pypi"),
    }
    for workflow in WORKFLOWS.values():
        assert workflow["permissions"] == {"contents": "read"}


@pytest.mark.parametrize(("workflow", "job"), PRIVILEGED)
def test_nothing_is_built_or_installed_beside_rights(workflow, job):
    for line in commands(job):
        assert not re.search(INSTALLS, line), line
    assert set(used(job)) <= RIGHTS


@pytest.mark.parametrize(("workflow", "job"), PRIVILEGED)
def test_rights_are_for_main_alone(workflow, job):
    assert re.fullmatch(r"[^|]* && github\.ref == 'refs/heads/main'", job["if"])
    triggers = WORKFLOWS[workflow][True]  # `on` is a truth to YAML
    assert set(triggers) <= {"push", "schedule", "workflow_dispatch"}
    assert triggers.get("push") in (None, {"branches": ["main"]}), "a tag may be pushed with any workflow"


@pytest.mark.parametrize("workflow", ["deploy-glue-job.yml", "release.yml"])
def test_what_is_deployed_or_published_has_passed_ci(workflow):
    of_workflow = WORKFLOWS[workflow]["jobs"]
    found = [job for job in of_workflow.values() if has_rights(job)]
    assert found
    for job in found:
        assert "./.github/workflows/ci.yml" in [of_workflow[name].get("uses") for name in passed_before(workflow, job)]


def test_what_is_handed_on_comes_from_no_cache():
    makers = [job for _, _, job in jobs() if "actions/upload-artifact" in used(job)]
    assert len(makers) == 5
    for job in makers:
        assert not [name for name in used(job) if "cache" in name]
        assert not [step for step in job["steps"] if "cache" in step.get("with", {})]


def test_what_is_installed_by_a_workflow_has_a_hash():
    lines = [line for _, _, job in jobs() for line in commands(job) if re.search(r"\bpip\b.*\binstall\b", line)]
    assert lines
    for line in lines:
        assert "--require-hashes --only-binary :all:" in line, line
    for image in ("fargate", "page"):
        assert re.findall(r"pip install (.*)", (ROOT / "deploy" / image / "Dockerfile").read_text()) == [
            "--no-cache-dir --require-hashes --only-binary :all: -r /tmp/requirements.txt \\"
        ]


def wanted_of(path):
    """What a list wants, and the lists that it names."""
    lines = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
    others = [path.parent / line.removeprefix("-r ") for line in lines if line.startswith("-r ")]
    return {line.lower() for line in lines if not line.startswith("-r ")}.union(*map(wanted_of, others))


@pytest.mark.parametrize("name", ["deploy/requirements", "deploy/page/requirements", "scripts/requirements-wheels"])
def test_a_locked_list_is_of_what_is_wanted_with_a_hash_each(name):
    wanted = wanted_of(ROOT / f"{name}.in")
    locked = [line for line in (ROOT / f"{name}.txt").read_text().replace("\\\n", " ").splitlines() if line[:1] != "#"]
    assert wanted and wanted <= {line.split()[0] for line in locked}, "make locks"
    for line in locked:
        assert re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+( +--hash=sha256:[0-9a-f]{64})+ *", line), line


def tracked(*patterns):
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return {Path(name).parent for name in listed.split()}


def test_updates_are_offered_for_all_that_is_pinned():
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    found = {
        entry["package-ecosystem"]: {
            Path(folder.lstrip("/")) for folder in entry.get("directories", [entry.get("directory")])
        }
        for entry in updates
    }
    assert found == {
        "cargo": tracked("Cargo.lock", "*/Cargo.lock"),
        "pip": tracked("*requirements*.txt"),
        "npm": tracked("*package-lock.json"),
        "docker": tracked("*Dockerfile"),
        "github-actions": {Path()},
    }
    for entry in updates:
        assert entry["cooldown"]["default-days"] >= 7


def script(workflow, job, name):
    (found,) = (step for step in WORKFLOWS[workflow]["jobs"][job]["steps"] if step.get("name") == name)
    return found["run"]


def shell(text, cwd, **variables):
    """A step as a runner runs it."""
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-e", "-c", text],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "HOME": str(cwd), **variables},
        capture_output=True,
        text=True,
    )


def stub(folder, name, text):
    """A program that stands in for one that is not here; the PATH that has it."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/usr/bin/env bash\n{text}\n")
    (folder / name).chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def git(folder, *words):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *identity, *words], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def cloned(tmp_path):
    """A repository with a version, a changelog and a main."""
    (tmp_path / "scripts").mkdir()
    for name in ("changes.py", "formula.py"):
        shutil.copy(ROOT / "scripts" / name, tmp_path / "scripts")
    (tmp_path / "CHANGELOG.md").write_text("## [1.2.3]\n\nEverything is new.\n")
    (tmp_path / "Cargo.toml").write_text('[package]\nversion = "1.2.3"\n')
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    git(tmp_path, "add", "--all")
    git(tmp_path, "commit", "--quiet", "--message", "first")
    git(tmp_path, "update-ref", "refs/remotes/origin/main", "HEAD")
    return tmp_path


def compared(folder):
    """What the check of a release says: its exit code, its words, its output."""
    (folder / "output").write_text("")
    done = shell(script("release.yml", "check", "Compare"), folder, GITHUB_OUTPUT=str(folder / "output"))
    return done.returncode, done.stdout + done.stderr, (folder / "output").read_text()


def test_a_version_of_main_with_its_changes_is_released(cloned):
    assert compared(cloned)[::2] == (0, "tag=v1.2.3\n")
    git(cloned, "tag", "v1.2.3")
    assert compared(cloned)[::2] == (0, "tag=v1.2.3\n"), "a second try"


def test_what_is_not_on_main_is_not_released(cloned):
    git(cloned, "commit", "--quiet", "--allow-empty", "--message", "of a branch")
    code, said, output = compared(cloned)
    assert code == 1 and "this commit is not on main" in said and not output


def test_a_tag_of_another_commit_is_not_moved(cloned):
    git(cloned, "tag", "--annotate", "v1.2.3", "--message", "early")
    git(cloned, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(cloned, "update-ref", "refs/remotes/origin/main", "HEAD")
    code, said, output = compared(cloned)
    assert code == 1 and "v1.2.3 is already the tag of" in said and not output


def test_a_version_without_a_word_about_it_is_not_released(cloned):
    (cloned / "CHANGELOG.md").write_text("## [1.2.2]\n\nOld.\n")
    code, said, output = compared(cloned)
    assert code == 1 and "CHANGELOG.md has no section for 1.2.3" in said and not output


PLATFORMS = [entry["platform"] for entry in WORKFLOWS["release.yml"]["jobs"]["build"]["strategy"]["matrix"]["include"]]


def test_a_release_has_checksums_of_all_it_has_and_bills_of_material(cloned):
    dist = cloned / "dist"
    dist.mkdir()
    for program in ("tap-wistia", "target-s3-parquet"):
        (dist / f"{program.replace('-', '_')}-1.2.3.whl").write_bytes(program.encode())
        for platform in PLATFORMS:
            (dist / f"{program}-1.2.3-{platform}.tar.gz").touch()
        with tarfile.open(dist / f"{program}-1.2.3-x86_64-unknown-linux-gnu.tar.gz", "w:gz") as archive:
            bill = tarfile.TarInfo(f"{program}-1.2.3-x86_64-unknown-linux-gnu/sbom.cyclonedx.json")
            bill.size = len(program)
            archive.addfile(bill, io.BytesIO(program.encode()))
    done = shell(script("release.yml", "assemble", "Assemble"), cloned, TAG="v1.2.3")
    assert done.returncode == 0, done.stderr
    assert (cloned / "notes.md").read_text() == "Everything is new.\n"
    assert (dist / "tap-wistia.cyclonedx.json").read_text() == "tap-wistia"
    assert len(list((cloned / "wheels").glob("*.whl"))) == 2
    sums = dict(reversed(line.split()) for line in (dist / "SHA256SUMS").read_text().splitlines())
    assert sums == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in dist.iterdir() if file.name != "SHA256SUMS"
    }
    kinds = {".whl": 2, ".gz": 2 * len(PLATFORMS), ".json": 2, ".rb": 2}
    assert {kind: sum(name.endswith(kind) for name in sums) for kind in kinds} == kinds and len(sums) == 14


@pytest.mark.parametrize(("of", "published"), [("ours", True), ("another", False)])
def test_a_release_is_of_the_commit_that_passed_whoever_made_its_tag(of, published, tmp_path):
    gh = """
    echo "$@" >> calls
    case "$*" in
        *git/refs*) exit 1 ;;  # Reference already exists
        *commits/tags/v1.2.3*) echo "$TAGGED" ;;
    esac
    """
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "a.whl").touch()
    done = shell(
        script("release.yml", "release", "Create the release"),
        tmp_path,
        PATH=stub(tmp_path / "bin", "gh", gh),
        TAG="v1.2.3",
        TAGGED=of,
        GITHUB_SHA="ours",
        GITHUB_REPOSITORY="o/r",
    )
    made_release = "release create v1.2.3 --repo o/r --verify-tag" in (tmp_path / "calls").read_text()
    assert made_release is published and (done.returncode == 0) is published, done.stderr


def test_nothing_is_built_for_a_release_whose_names_are_not_known_to_be_ours():
    release = WORKFLOWS["release.yml"]["jobs"]
    first = next(step["run"] for step in release["check"]["steps"] if "run" in step)
    assert first.startswith("python3 scripts/pypi_names.py ") and first.endswith(" tap-wistia target-s3-parquet")
    for name in ("build", "assemble", "release", "images", "pypi"):
        assert "check" in passed_before("release.yml", release[name])


def test_an_image_of_all_processors_is_pushed_under_its_version_and_signed_as_what_was_pushed(tmp_path):
    podman = """
    echo "$*" >> calls
    case "$*" in
        login*) cat >> password ;;
        "manifest push"*) while [ "$1" != --digestfile ]; do shift; done; echo "sha256:of-$3" > "$2" ;;
    esac
    """
    (tmp_path / "images").mkdir()
    for image in ("source-wistia", "destination-s3-parquet"):
        for processor in ("amd64", "arm64"):
            (tmp_path / "images" / f"{image}-{processor}.tar").touch()
    done = shell(
        script("release.yml", "images", "Push one image for all processors"),
        tmp_path,
        PATH=stub(tmp_path / "bin", "podman", podman),
        TAG="v1.2.3",
        GH_TOKEN="secret",
        GITHUB_ACTOR="a",
        GITHUB_REPOSITORY_OWNER="Some-One",
        GITHUB_OUTPUT=str(tmp_path / "output"),
    )
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text()
    assert "secret" not in calls and (tmp_path / "password").read_text() == "secret"
    outputs = dict(line.split("=") for line in (tmp_path / "output").read_text().splitlines())
    attested = [
        step["with"] for step in WORKFLOWS["release.yml"]["jobs"]["images"]["steps"] if "subject-name" in str(step)
    ]
    for image, subject in zip(("source-wistia", "destination-s3-parquet"), attested, strict=True):
        for processor in ("amd64", "arm64"):
            assert f"manifest add {image} docker-archive:images/{image}-{processor}.tar\n" in calls
        for tag in ("1.2.3", "latest"):
            assert f" {image} docker://ghcr.io/some-one/{image}:{tag}\n" in calls
        assert outputs[f"{image}-name"] == f"ghcr.io/some-one/{image}"
        assert outputs[f"{image}-digest"] == f"sha256:of-{image}"
        assert subject["subject-digest"] == f"${{{{ steps.push.outputs.{image}-digest }}}}"


@pytest.mark.parametrize(("salt", "seen"), [("", "none"), ("0123456789abcdef", "0123456789abcdef")])
def test_a_night_has_the_salt_that_is_there_and_programs_that_run(salt, seen, tmp_path):
    (tmp_path / "night").mkdir()
    for program in ("tap-wistia", "target-s3-parquet"):
        (tmp_path / "night" / program).touch(mode=0o644)
    python = """
    test -x night/tap-wistia && test -x night/target-s3-parquet || exit 1
    echo "${TAP_WISTIA_PERSONAL_DATA_SALT-none}"
    printf '%s\\n' "$@"
    """
    done = shell(
        script("nightly.yml", "sync", "Sync"),
        tmp_path,
        PATH=stub(tmp_path / "bin", "python3", python),
        TAP_WISTIA_PERSONAL_DATA_SALT=salt,
        ACCOUNT="a b",
        DESTINATION="s3://lake/x",
        TARGET_SETTINGS='{"catalog": {}}',
    )
    assert done.returncode == 0, done.stderr
    said, program, *arguments = done.stdout.splitlines()
    assert (said, program) == (seen, "deploy/glue/nightly.py")
    assert dict(zip(arguments[::2], arguments[1::2], strict=True)) == {
        "--account": "a b",
        "--destination": "s3://lake/x",
        "--target-settings": '{"catalog": {}}',
        "--programs": "night",
    }

"""What the workflows run was run before GitHub runs it, and what they open is opened to nobody else."""

import functools
import re
import subprocess

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
    assert re.search(r"zizmor --offline .*--min-severity medium \.github", before)
    assert "cargo-deny --locked check advisories" in " ".join(made("advisories"))

"""The environments are opened to main alone: the script against what GitHub's documentation says of its calls."""

import json
import os
import re
import subprocess
import sys

import pytest
import yaml

from harness import ROOT

GH = '''#!/usr/bin/env python3
"""`gh api` for environments and their branch policies. As documented: what a PUT leaves out is reset; policies can
be listed and added only where custom ones are on; an environment that is not there is a 404."""
import json, os, re, sys

file = os.environ["GITHUB"]
world = json.load(open(file))
arguments = sys.argv[1:]
assert arguments[:2] == ["api", "--method"], arguments
method, path, *more = arguments[2:]
body = json.load(sys.stdin) if more == ["--input", "-"] else None
world["calls"].append(method)


def refuse(code, why):
    print(json.dumps({"message": why}))
    sys.exit(f"gh: {why} (HTTP {code})")


found = re.fullmatch(r"repos/o/r/environments/(\\w+)(/deployment-branch-policies)?(?:/(\\d+))?(\\?per_page=100)?", path)
if not found:
    refuse(404, "Not Found")
if world.get("forbidden") and method != "GET":
    refuse(403, "Must have admin rights to Repository.")
name, of_policies, number, _ = found.groups()
environment = world["environments"].get(name)
if method == "PUT" and not of_policies:
    assert set(body) <= {"wait_timer", "prevent_self_review", "reviewers", "deployment_branch_policy"}, body
    rule = body.get("deployment_branch_policy")
    assert rule is None or rule["protected_branches"] != rule["custom_branch_policies"]
    rules = [{"type": "wait_timer", "wait_timer": body["wait_timer"]}] if body.get("wait_timer") else []
    if body.get("reviewers"):
        reviewers = [{"type": one["type"], "reviewer": {"id": one["id"]}} for one in body["reviewers"]]
        self_review = body.get("prevent_self_review", False)
        rules.append({"type": "required_reviewers", "prevent_self_review": self_review, "reviewers": reviewers})
    rules += [{"type": "branch_policy"}] if rule else []
    policies = (environment or {}).get("policies", [])
    answer = {"name": name, "protection_rules": rules, "deployment_branch_policy": rule}
    world["environments"][name] = {**answer, "policies": policies}
elif environment is None:
    refuse(404, "Not Found")
elif not of_policies:
    assert method == "GET"
    answer = {key: value for key, value in environment.items() if key != "policies"}
elif not (environment["deployment_branch_policy"] or {}).get("custom_branch_policies"):
    refuse(404, "Not Found")
elif method == "GET":
    answer = {"total_count": len(environment["policies"]), "branch_policies": environment["policies"]}
elif method == "POST":
    answer = {"id": 100 + len(world["calls"]), **body}
    environment["policies"].append(answer)
elif method == "DELETE":
    environment["policies"] = [one for one in environment["policies"] if one["id"] != int(number)]
    answer = None
json.dump(world, open(file, "w"))
if answer is not None:
    print(json.dumps(answer))
'''


class GitHub:
    def __init__(self, folder):
        self.file = folder / "github.json"
        self.path = f"{folder}{os.pathsep}{os.environ['PATH']}"
        (folder / "gh").write_text(GH)
        (folder / "gh").chmod(0o755)
        self.save({"calls": [], "environments": {}})

    def save(self, world):
        self.file.write_text(json.dumps(world))

    @property
    def world(self):
        return json.loads(self.file.read_text())

    def with_environment(self, name, rule, policies=(), rules=()):
        environment = {"name": name, "protection_rules": list(rules), "deployment_branch_policy": rule}
        world = self.world
        world["environments"][name] = {**environment, "policies": list(policies)}
        self.save(world)

    def script(self, *words):
        return subprocess.run(
            [sys.executable, ROOT / "scripts" / "protect_environments.py", "o/r", *words],
            env={**os.environ, "PATH": self.path, "GITHUB": str(self.file)},
            capture_output=True,
            text=True,
        )

    def open_to(self, name):
        environment = self.world["environments"][name]
        assert environment["deployment_branch_policy"] == {"protected_branches": False, "custom_branch_policies": True}
        return [(one["type"], one["name"]) for one in environment["policies"]]


@pytest.fixture
def github(tmp_path):
    return GitHub(tmp_path)


def named_by_workflows():
    workflows = [yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")]
    return {job["environment"] for workflow in workflows for job in workflow["jobs"].values() if "environment" in job}


CUSTOM = {"protected_branches": False, "custom_branch_policies": True}


def test_every_environment_of_a_workflow_is_opened_to_main_alone(github):
    done = github.script()
    assert done.returncode == 0, done.stderr
    assert set(github.world["environments"]) == named_by_workflows()
    for name in named_by_workflows():
        assert github.open_to(name) == [("branch", "main")]
        assert f"{name}: open to branch main\n" in done.stdout
    assert github.script("--check").returncode == 0


def test_other_branches_and_tags_are_shut_out_and_main_is_not_let_in_twice(github):
    policies = [
        {"id": 1, "name": "*", "type": "branch"},
        {"id": 2, "name": "main", "type": "branch"},
        {"id": 3, "name": "main", "type": "tag"},
    ]
    github.with_environment("production", CUSTOM, policies)
    assert github.script().returncode == 0
    assert github.open_to("production") == [("branch", "main")]


def test_reviewers_and_waits_stay(github):
    reviewers = [{"type": "Team", "reviewer": {"id": 7}}, {"type": "User", "reviewer": {"id": 8}}]
    rules = [
        {"type": "wait_timer", "wait_timer": 30},
        {"type": "required_reviewers", "prevent_self_review": True, "reviewers": reviewers},
    ]
    github.with_environment("production", None, rules=rules)
    assert github.script().returncode == 0
    assert github.world["environments"]["production"]["protection_rules"][:2] == rules


@pytest.mark.parametrize(
    ("rule", "policies", "said"),
    [
        (None, [], "all branches and tags"),
        ({"protected_branches": True, "custom_branch_policies": False}, [], "all protected branches"),
        (CUSTOM, [{"id": 1, "name": "v*", "type": "tag"}], "tag v*"),
        (CUSTOM, [], "nothing"),
    ],
)
def test_a_check_tells_who_gets_in_and_changes_nothing(rule, policies, said, github):
    github.script()
    github.with_environment("nightly", rule, policies)
    before = github.world
    done = github.script("--check")
    assert done.returncode == 1 and f"nightly: open to {said}\n" in done.stdout
    assert github.world["environments"] == before["environments"]
    assert set(github.world["calls"][len(before["calls"]) :]) == {"GET"}


def test_a_check_tells_what_is_not_there(github):
    done = github.script("--check")
    assert done.returncode == 1 and re.search("^pypi: open to everyone: it is not there$", done.stdout, flags=re.M)
    assert not github.world["environments"]


def test_who_may_not_set_it_is_told(github):
    github.save({**github.world, "forbidden": True})
    done = github.script()
    assert done.returncode == 1 and "Must have admin rights" in done.stderr and "Traceback" not in done.stderr

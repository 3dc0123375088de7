"""Opens the environments of the workflows to main alone: no other branch and no tag gets their secrets or their role.

    python3 scripts/protect_environments.py OWNER/REPOSITORY           # sets it, and makes what is not there
    python3 scripts/protect_environments.py OWNER/REPOSITORY --check   # only tells

GitHub gives an environment that nobody made to whoever names it, from any branch. Needs `gh`, signed in as an
administrator of the repository; in a private repository, a plan of GitHub that has such rules.
"""

import argparse
import json
import subprocess
import sys

ENVIRONMENTS = ("production", "nightly", "release", "pypi")
MAIN = {"name": "main", "type": "branch"}


class Refused(Exception):
    """What GitHub says against a call."""


def call(method, path, body=None):
    """An answer of GitHub, or None where there is no such thing."""
    command = ["gh", "api", "--method", method, path]
    command += ["--input", "-"] if body is not None else []
    done = subprocess.run(command, input=json.dumps(body), capture_output=True, text=True)
    if done.returncode == 0:
        return json.loads(done.stdout or "{}")
    if method == "GET" and "HTTP 404" in done.stderr:
        return None
    raise Refused(f"{method} {path}: {done.stderr.strip()}")


def kept(environment):
    """The other rules of an environment, in the words in which they are set: what a call leaves out is taken away."""
    rules = {rule["type"]: rule for rule in (environment or {}).get("protection_rules", [])}
    body = {"wait_timer": rules.get("wait_timer", {}).get("wait_timer", 0)}
    if reviews := rules.get("required_reviewers"):
        body["prevent_self_review"] = reviews.get("prevent_self_review", False)
        body["reviewers"] = [{"type": one["type"], "id": one["reviewer"]["id"]} for one in reviews.get("reviewers", [])]
    return body


def policies(path):
    """The patterns of branches and tags that an environment is open to."""
    return call("GET", f"{path}/deployment-branch-policies?per_page=100")["branch_policies"]


def is_main(policy):
    return {key: policy.get(key, MAIN[key]) for key in MAIN} == MAIN


def open_to(path):
    """What an environment is open to, in words."""
    environment = call("GET", path)
    if environment is None:
        return "everyone: it is not there"
    rule = environment["deployment_branch_policy"]
    if rule is None:
        return "all branches and tags"
    if not rule["custom_branch_policies"]:
        return "all protected branches"
    return ", ".join(sorted(f"{one.get('type', 'branch')} {one['name']}" for one in policies(path))) or "nothing"


def protect(path):
    """Main is let in before the others are shut out."""
    rule = {"protected_branches": False, "custom_branch_policies": True}
    call("PUT", path, {**kept(call("GET", path)), "deployment_branch_policy": rule})
    found = policies(path)
    if not any(is_main(one) for one in found):
        call("POST", f"{path}/deployment-branch-policies", MAIN)
    for one in found:
        if not is_main(one):
            call("DELETE", f"{path}/deployment-branch-policies/{one['id']}")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", metavar="OWNER/REPOSITORY")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where a rule is missing")
    chosen = parser.parse_args(argv)
    wrong = False
    try:
        for name in ENVIRONMENTS:
            path = f"repos/{chosen.repository}/environments/{name}"
            if not chosen.check:
                protect(path)
            found = open_to(path)
            wrong |= found != "branch main"
            print(f"{name}: open to {found}")
    except Refused as refused:
        sys.exit(f"error: {refused}")
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())

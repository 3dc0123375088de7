"""An AWS account to deploy into, and what the deployment does there."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from harness import BINARIES, ROOT, S3, TAP, TARGET, TOKEN, run

DEPLOY = ROOT / "deploy" / "deploy.py"
LAUNCHER = ROOT / "deploy" / "glue" / "nightly.py"
LAKE = "wistia-lake"
BUCKET = f"{LAKE}-123456789012-us-east-1"


class Account(S3):
    """An AWS account."""

    PROGRAM = "aws_account.py"

    @functools.cache
    def service(self, name):
        return super().service(name)

    def environment(self, role=None):
        """The environment of somebody who works in this account: an administrator, or a role."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": f"role:{role}" if role else "admin",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def deploy(self, *words, role=None, stdin=""):
        """Runs deploy.py."""
        return run(sys.executable, DEPLOY, *words, stdin=stdin, env=self.environment(role))

    def role(self, of):
        """The name of the stack's role of that name."""
        names = [role["RoleName"] for role in self.service("iam").list_roles()["Roles"]]
        (name,) = [name for name in names if f"-{of}-" in name]
        return name

    def state(self, account):
        """The state that the account's nights keep, or nothing."""
        found = self.objects(f"lake/{account}/_lake/state.json")
        return json.loads(self.read(found[0])) if found else None

    def objects(self, prefix=""):
        pages = self.service("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def read(self, key):
        return self.service("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def write(self, key, content):
        self.service("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    def download(self, account, folder):
        """Copies an account's tables into a folder, to be read like any other lake."""
        for key in self.objects(f"lake/{account}/"):
            path = Path(folder) / key.removeprefix(f"lake/{account}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(key))
        return Path(folder)

    def told(self):
        """What the nights told CloudWatch, oldest first."""
        logs, found = self.service("logs"), []
        for stream in logs.describe_log_streams(logGroupName=f"/{LAKE}/runs")["logStreams"]:
            events = logs.get_log_events(logGroupName=f"/{LAKE}/runs", logStreamName=stream["logStreamName"])["events"]
            found += [json.loads(event["message"]) for event in events]
        return sorted(found, key=lambda document: document["_aws"]["Timestamp"])


def night_summary(text):
    """The one line of JSON that a night or a check ends with."""
    lines = [line for line in text.splitlines() if line.startswith(('{"event": "night"', '{"event": "check"'))]
    assert len(lines) == 1, f"not one summary\n{text[-4000:]}"
    return json.loads(lines[0])


@functools.cache
def programs():
    """The programs under test without what is for debuggers, which is most of them."""
    folder = BINARIES / "stripped"
    folder.mkdir(exist_ok=True)
    stripped = [folder / Path(program).name for program in (TAP, TARGET)]
    for program, small in zip((TAP, TARGET), stripped):
        own = small.with_suffix(f".{os.getpid()}")
        subprocess.run(["strip", "-o", own, program], check=True)
        own.replace(small)
    return stripped


def deploy_lake(account, programs):
    """A lake that may have several nights at once, and a release of these programs."""
    account.deploy("lake", "-p", "MaxConcurrentRuns=3", "-p", "GitHubRepository=acme/lake").succeeded()
    account.deploy("release", *programs, "--id", "r1").succeeded()


def add_account(account, name, **settings):
    """A Wistia account in the lake, with these settings of the tap."""
    account.deploy("account", name, "-p", f"TapSettings={json.dumps(settings)}").succeeded()
    account.deploy("token", name, stdin=f"{TOKEN}\n").succeeded()

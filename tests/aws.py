"""An AWS account to deploy into, and what the deployment does there."""

import json
import subprocess
import sys
import time
from pathlib import Path

import boto3
import requests
from harness import BINARIES, DEADLINE, ROOT, TAP, TARGET, Run, Server, environment, free_port

TESTS = Path(__file__).resolve().parent
DEPLOY = ROOT / "deploy" / "deploy.py"
LAUNCHER = ROOT / "deploy" / "glue" / "nightly.py"
LAKE = "wistia-lake"
BUCKET = f"{LAKE}-123456789012-us-east-1"
TOKEN_OF_TESTS = "simulated-token"


class Account(Server):
    """An AWS account."""

    def __init__(self):
        port = free_port()
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        super().__init__([sys.executable, TESTS / "aws_account.py", "-p", port], **quiet)
        self.url = f"http://127.0.0.1:{port}"
        until = time.monotonic() + DEADLINE
        while True:
            try:
                requests.get(f"{self.url}/moto-api/", timeout=5)
                break
            except requests.ConnectionError:
                assert time.monotonic() < until and self.process.poll() is None, "the AWS server does not start"
                time.sleep(0.1)

    def reset(self):
        """An empty account."""
        requests.post(f"{self.url}/moto-api/reset", timeout=DEADLINE).raise_for_status()

    def client(self, service):
        return boto3.client(
            service, endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="admin", aws_secret_access_key="test"
        )

    def environment(self, role=None):
        """The environment of somebody who works in this account: an administrator, or a role."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": f"role:{role}" if role else "admin",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def deploy(self, *words, role=None, stdin=""):
        """Runs deploy.py."""
        return run_as(self.environment(role), sys.executable, DEPLOY, *words, stdin=stdin)

    def role(self, of):
        """The name of the stack's role of that name."""
        names = [role["RoleName"] for role in self.client("iam").list_roles()["Roles"]]
        (name,) = [name for name in names if f"-{of}-" in name]
        return name

    def state(self, account):
        """The state that the account's nights keep, or nothing."""
        found = self.objects(f"lake/{account}/_lake/state.json")
        return json.loads(self.read(found[0])) if found else None

    def objects(self, prefix=""):
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return sorted(item["Key"] for page in pages for item in page.get("Contents", []))

    def read(self, key):
        return self.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def write(self, key, content):
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    def download(self, account, folder):
        """Copies an account's tables into a folder, to be read like any other lake."""
        for key in self.objects(f"lake/{account}/"):
            path = Path(folder) / key.removeprefix(f"lake/{account}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(key))
        return Path(folder)

    def told(self):
        """What the nights told CloudWatch, oldest first."""
        logs, found = self.client("logs"), []
        for stream in logs.describe_log_streams(logGroupName=f"/{LAKE}/runs")["logStreams"]:
            events = logs.get_log_events(logGroupName=f"/{LAKE}/runs", logStreamName=stream["logStreamName"])["events"]
            found += [json.loads(event["message"]) for event in events]
        return sorted(found, key=lambda document: document["_aws"]["Timestamp"])


def run_as(own, *command, stdin=""):
    done = subprocess.run(
        [str(word) for word in command], input=stdin, capture_output=True, text=True, timeout=DEADLINE, env=environment(own)
    )
    return Run(done.returncode, done.stdout, done.stderr)


def night_summary(text):
    """The one line of JSON that a night or a check ends with."""
    lines = [line for line in text.splitlines() if line.startswith('{"event"')]
    assert len(lines) == 1, f"not one summary\n{text[-4000:]}"
    return json.loads(lines[0])


def released(account, name="r1", *words):
    """A release of the programs under test."""
    return account.deploy("release", TAP, TARGET, "--id", name, *words)


def lake_with(account, simulators):
    """A deployed lake whose Wistia accounts are these simulators, by name, with a release and tokens."""
    runs = str(max(len(simulators), 1))
    account.deploy("lake", "-p", f"MaxConcurrentRuns={runs}", "-p", "GitHubRepository=acme/lake").succeeded()
    for name, simulator in simulators.items():
        settings = json.dumps({"api_url": simulator.url, "requests_per_minute": 1_000_000})
        account.deploy("account", name, "-p", f"TapSettings={settings}").succeeded()
        account.deploy("token", name, stdin=f"{TOKEN_OF_TESTS}\n").succeeded()
    released(account).succeeded()


__all__ = ["BINARIES", "BUCKET", "DEPLOY", "LAKE", "LAUNCHER", "Account", "lake_with", "night_summary", "released", "run_as"]

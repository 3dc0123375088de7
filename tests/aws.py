"""An AWS account to deploy into, and what the deployment does there."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

from harness import BINARIES, ROOT, S3, TAP, TARGET, TOKEN, Json, Run, run

DEPLOY = ROOT / "deploy" / "deploy.py"
LAUNCHER = ROOT / "deploy" / "glue" / "nightly.py"
LAKE = "wistia-lake"
BUCKET = f"{LAKE}-123456789012-us-east-1"


class Account(S3):
    """An AWS account."""

    PROGRAM = "aws_account.py"

    def environment(self, role: str | None = None) -> dict[str, str]:
        """The environment of somebody who works in this account: an administrator, or a role."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": f"role:{role}" if role else "admin",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def deploy(self, *words: object, role: str | None = None, stdin: str = "", **more: str) -> Run:
        """Runs deploy.py, with these variables too."""
        return run(sys.executable, DEPLOY, *words, stdin=stdin, env={**self.environment(role), **more})

    def role(self, of: str) -> str:
        """The name of the stack's role of that name."""
        names: list[str] = [role["RoleName"] for role in self.service("iam").list_roles()["Roles"]]
        (name,) = [name for name in names if f"-{of}-" in name]
        return name

    def state(self, account: str) -> Json | None:
        """The state that the account's nights keep, or nothing."""
        key = f"lake/{account}/_lake/state.json"
        state: Json | None = json.loads(self.read(key)) if self.objects(key) else None
        return state

    def objects(self, prefix: str = "") -> list[str]:
        return self.keys(BUCKET, prefix)

    def read(self, key: str) -> bytes:
        return self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    def write(self, key: str, content: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content)

    def download_tables(self, account: str, folder: Path) -> Path:
        """Copies an account's tables into a folder, to be read like any other lake."""
        return self.download(BUCKET, folder, f"lake/{account}/")

    def told(self) -> list[Json]:
        """What the nights told CloudWatch, oldest first."""
        logs, found = self.service("logs"), list[Json]()
        for stream in logs.describe_log_streams(logGroupName=f"/{LAKE}/runs")["logStreams"]:
            events = logs.get_log_events(logGroupName=f"/{LAKE}/runs", logStreamName=stream["logStreamName"])["events"]
            found += [json.loads(event["message"]) for event in events]
        return sorted(found, key=lambda document: document["_aws"]["Timestamp"])


def night_summary(text: str) -> Json:
    """The one line of JSON that a night or a check ends with."""
    lines = [line for line in text.splitlines() if line.startswith(('{"event": "night"', '{"event": "check"'))]
    assert len(lines) == 1, f"not one summary\n{text[-4000:]}"
    summary: Json = json.loads(lines[0])
    return summary


@functools.cache
def programs() -> list[Path]:
    """The programs under test without what is for debuggers, which is most of them."""
    folder = BINARIES / "stripped"
    folder.mkdir(exist_ok=True)
    stripped = [folder / Path(program).name for program in (TAP, TARGET)]
    for program, small in zip((TAP, TARGET), stripped, strict=True):
        own = small.with_suffix(f".{os.getpid()}")
        subprocess.run(["strip", "-o", own, program], check=True)
        own.replace(small)
    return stripped


def deploy_lake(account: Account, programs: list[Path]) -> None:
    """A lake that may have several nights at once, and a release of these programs."""
    account.deploy("lake", "-p", "MaxConcurrentRuns=3", "-p", "GitHubRepository=acme/lake").succeeded()
    account.deploy("release", *programs, "--id", "r1").succeeded()


def add_account(account: Account, name: str, **settings: object) -> None:
    """A Wistia account in the lake, with these settings of the tap."""
    account.deploy("account", name, "-p", f"TapSettings={json.dumps(settings)}").succeeded()
    account.deploy("token", name, stdin=f"{TOKEN}\n").succeeded()

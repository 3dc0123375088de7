"""An AWS account to deploy into, and what the deployment does there."""

import functools
import json
import os
import re
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

    def lake(self, *parameters: str, role: str | None = None) -> Run:
        """Deploys the lake with these parameters, and means what is kept."""
        words = [word for parameter in parameters for word in ("-p", parameter)]
        return self.deploy("lake", "--yes", *words, role=role)

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
        found = [document for document in found if "check" not in document]
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
    account.lake("MaxConcurrentRuns=3", "GitHubRepository=acme/lake").succeeded()
    account.deploy("release", *programs, "--id", "r1").succeeded()


def add_account(account: Account, name: str, **settings: object) -> None:
    """A Wistia account in the lake, with these settings of the tap."""
    account.deploy("account", name, "-p", f"TapSettings={json.dumps(settings)}").succeeded()
    account.deploy("token", name, stdin=f"{TOKEN}\n").succeeded()


def script(folder: Path, name: str, text: str) -> Path:
    """A program of a release: a deployment does not look into it."""
    path = folder / name
    folder.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    return path


def job(account: Account) -> Json:
    found = account.glue.get_job(JobName=LAKE)["Job"]
    return {key: value for key, value in found.items() if key != "LastModifiedOn"}


def deployed_release(account: Account) -> str:
    location: str = job(account)["Command"]["ScriptLocation"]
    return location.removeprefix(f"s3://{BUCKET}/releases/").removesuffix("/nightly.py")


def everything(account: Account) -> Json:
    """What a deployment could have changed."""
    cloudwatch, events = account.service("cloudwatch"), account.service("events")
    logs, secrets = account.service("logs"), account.service("secretsmanager")
    found = {
        "job": job(account),
        "trigger": account.glue.get_trigger(Name=f"{LAKE}.wistia")["Trigger"],
        "crawlers": {
            name: account.glue.get_crawler(Name=name)["Crawler"]
            for name in account.glue.list_crawlers()["CrawlerNames"]
        },
        "databases": account.glue.get_databases()["DatabaseList"],
        "alarms": cloudwatch.describe_alarms()["MetricAlarms"],
        "rules": events.list_rules()["Rules"],
        "targets": events.list_targets_by_rule(Rule=f"{LAKE}-night-failed")["Targets"],
        "rights": rights(account),
        "groups": {
            group["logGroupName"]: group.get("retentionInDays") for group in logs.describe_log_groups()["logGroups"]
        },
        "secrets": [secret["Name"] for secret in secrets.list_secrets()["SecretList"]],
        "objects": account.objects(),
    }
    shown: Json = json.loads(json.dumps(found, default=str))
    return shown


def rights(account: Account) -> Json:
    """All that grants anything to anyone."""
    iam, s3, sns = account.service("iam"), account.client, account.service("sns")
    roles = [role["RoleName"] for role in iam.list_roles()["Roles"]]
    found = {
        "trusts": {role: iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"] for role in roles},
        "inline": {
            f"{role} {name}": iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for role in roles
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        },
        "attached": {role: iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] for role in roles},
        "policies": {
            policy["Arn"]: iam.get_policy_version(PolicyArn=policy["Arn"], VersionId=policy["DefaultVersionId"])[
                "PolicyVersion"
            ]["Document"]
            for policy in iam.list_policies(Scope="Local")["Policies"]
        },
        "users": iam.list_users()["Users"],
        "providers": iam.list_open_id_connect_providers()["OpenIDConnectProviderList"],
        "buckets": {
            bucket["Name"]: s3.get_bucket_policy(Bucket=bucket["Name"])["Policy"]
            for bucket in s3.list_buckets()["Buckets"]
        },
        "topics": {
            topic["TopicArn"]: sns.get_topic_attributes(TopicArn=topic["TopicArn"])["Attributes"]["Policy"]
            for topic in sns.list_topics()["Topics"]
        },
    }
    # A task that is deployed anew has another number, and who may start it may start that one.
    text = re.sub(r"(:task-definition/[\w-]+):\d+", r"\1", json.dumps(found, default=str))
    shown: Json = json.loads(text)
    return shown

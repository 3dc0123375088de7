#!/usr/bin/env python3
"""Deploys the lake: stacks, releases, tokens, nights. Says with --dry-run what it would do.

    deploy.py lake                       the bucket, the job, roles, alerts (lake.yaml)
    deploy.py account NAME               a Wistia account: secret, tables, night, alarm (account.yaml)
    deploy.py token NAME                 puts the account's token, from stdin, into its secret
    deploy.py release FILE...            uploads programs or their wheels, tries them with --check ACCOUNT,
                                         and points the job at them
    deploy.py rollback                   points the job at the release before
    deploy.py run NAME [--check]         a night now, or a try without a sync; prints its log
    deploy.py status                     what is deployed

Every command may be given again: what is there already stays as it is. Region and credentials come
from where the AWS tools look for them.
"""

from __future__ import annotations

import argparse
import difflib
import functools
import getpass
import hashlib
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError, WaiterError

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_cloudformation.type_defs import StackTypeDef
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_redshift_data import RedshiftDataAPIServiceClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_sns import SNSClient

HERE = Path(__file__).resolve().parent
TEMPLATES = HERE / "cloudformation"
PROGRAMS = ("tap-wistia", "target-s3-parquet")
BEGUN = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
"""What a stack says of itself when a change of it begins."""
CHECK = {"--only": "check"}
"""What makes a run a try."""
LOOKS = (0.5, 10)
"""Seconds between two looks at a run: at its begin, and at most."""


class Failure(Exception):
    """Why a command stopped, in a sentence with what to do."""


# Releases


def program(path: Path) -> tuple[str, bytes]:
    """The name and the bytes of a program: of the file itself, or of the one in a wheel."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            for name in wheel.namelist():
                if Path(name).name in PROGRAMS and "/scripts/" in name:
                    return Path(name).name, wheel.read(name)
        raise Failure(f"{path} is a wheel without {' or '.join(PROGRAMS)}")
    if path.name not in PROGRAMS:
        raise Failure(f"{path} is neither a wheel nor {' or '.join(PROGRAMS)}")
    return path.name, path.read_bytes()


def pack(paths: list[Path]) -> dict[str, bytes]:
    """The files of a release: both programs, the launcher, and the settings of deploy/config."""
    files = dict(map(program, paths))
    missing = [name for name in PROGRAMS if name not in files]
    if missing:
        raise Failure(f"{' and '.join(missing)} is missing; name both programs, or their wheels")
    files["nightly.py"] = (HERE / "glue" / "nightly.py").read_bytes()
    for config in sorted((HERE / "config").glob("*.json")):
        files[config.name] = config.read_bytes()
    return files


def manifest(files: Mapping[str, bytes]) -> bytes:
    """What a release consists of. The job is given its checksum, and it all others."""
    entries = {name: {"sha256": checksum(content), "size": len(content)} for name, content in sorted(files.items())}
    return (json.dumps({"files": entries}, indent=2) + "\n").encode()


def checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def commit() -> str:
    """The commit that is checked out, as the name of its release."""
    found = subprocess.run(["git", "-C", str(HERE), "rev-parse", "HEAD"], capture_output=True, text=True)
    if found.returncode:
        raise Failure("this is no git checkout; name the release with --id")
    return found.stdout.strip()


# Stacks


class Stack:
    """A stack, there or to be."""

    def __init__(self, aws: Aws, name: str, template: Path | None = None) -> None:
        self.aws, self.name, self.template = aws, name, template

    def describe(self) -> StackTypeDef | None:
        try:
            return self.aws.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise

    def must(self) -> StackTypeDef:
        found = self.describe()
        if not found:
            raise Failure(f"there is no stack {self.name}; make it: deploy.py lake, deploy.py account")
        return found

    def parameters(self) -> dict[str, str]:
        return {item["ParameterKey"]: item["ParameterValue"] for item in self.must().get("Parameters", [])}

    def output(self, name: str) -> str:
        found = self.must()
        for item in found.get("Outputs", []):
            if item["OutputKey"] == name:
                return item["OutputValue"]
        raise Failure(
            f"the stack {self.name} is {found['StackStatus']} and has no {name}; "
            "make it again: deploy.py lake, deploy.py account"
        )

    def apply(self, changes: Mapping[str, str]) -> None:
        """Makes the stack, or changes it: to its template, if it has one, and to these parameters; the
        others keep their values."""
        there = self.describe()
        if there and there["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
            raise Failure(
                f"the stack {self.name} was never completed; see its events for why, then delete it: "
                f"aws cloudformation delete-stack --stack-name {self.name}"
            )
        if self.aws.dry_run:
            self.foretell(there, changes)
            return
        cloudformation = self.aws.cloudformation
        known = {item["ParameterKey"] for item in there.get("Parameters", [])} if there else set()
        if self.template:
            # One that the template has no more is forgotten.
            summary = cloudformation.get_template_summary(TemplateBody=self.template.read_text())
            known &= {item["ParameterKey"] for item in summary["Parameters"]}
        request: dict[str, Any] = {
            "StackName": self.name,
            "Capabilities": ["CAPABILITY_IAM"],
            "Parameters": [
                *({"ParameterKey": key, "ParameterValue": value} for key, value in changes.items()),
                *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(known - set(changes))),
            ],
        }
        request |= {"TemplateBody": self.template.read_text()} if self.template else {"UsePreviousTemplate": True}
        verb = "update" if there else "create"
        try:
            if there:
                cloudformation.update_stack(**request)
            else:
                cloudformation.create_stack(**request)
        except ClientError as error:
            if "No updates are to be performed" in str(error):
                print(f"stack {self.name}: nothing to change")
                return
            raise
        print(f"stack {self.name}: {verb} began")
        try:
            if there:
                cloudformation.get_waiter("stack_update_complete").wait(StackName=self.name)
            else:
                cloudformation.get_waiter("stack_create_complete").wait(StackName=self.name)
        except WaiterError as error:
            raise Failure(
                f"the stack {self.name} could not be {verb}d; what was done is taken back:\n{self.reasons()}"
            ) from error
        print(f"stack {self.name}: {verb}d")

    def reasons(self) -> str:
        """Why the last change failed."""
        lines = []
        for event in self.aws.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]:
            if event["ResourceStatus"].endswith("_FAILED"):
                lines.append(f"  {event['LogicalResourceId']}: {event.get('ResourceStatusReason', '')}")
            if event["LogicalResourceId"] == self.name and event["ResourceStatus"] in BEGUN:
                break
        return "\n".join(reversed(lines)) or "  its events give no reason"

    def foretell(self, there: StackTypeDef | None, changes: Mapping[str, str]) -> None:
        """Prints what apply would change."""
        if self.template and not there:
            print(f"stack {self.name}: would be created from {self.template.name} with {changes or 'defaults'}")
            return
        current, lines = self.parameters(), list[str]()
        for key, value in changes.items():
            if current.get(key) != value:
                lines.append(f"  {key}: {current.get(key)} -> {value}")
        if self.template:
            body = str(self.aws.cloudformation.get_template(StackName=self.name)["TemplateBody"])
            new = self.template.read_text()
            lines += difflib.unified_diff(
                body.splitlines(), new.splitlines(), "deployed", self.template.name, lineterm="", n=2
            )
        print("\n".join([f"stack {self.name}: {'would be updated' if lines else 'nothing to change'}", *lines]))


class Aws:
    """The account that is deployed into."""

    def __init__(self, name: str, dry_run: bool) -> None:
        self.name, self.dry_run = name, dry_run

    @functools.cached_property
    def cloudformation(self) -> CloudFormationClient:
        return boto3.client("cloudformation")

    @functools.cached_property
    def cloudwatch(self) -> CloudWatchClient:
        return boto3.client("cloudwatch")

    @functools.cached_property
    def glue(self) -> GlueClient:
        return boto3.client("glue")

    @functools.cached_property
    def logs(self) -> CloudWatchLogsClient:
        return boto3.client("logs")

    @functools.cached_property
    def redshift(self) -> RedshiftDataAPIServiceClient:
        return boto3.client("redshift-data")

    @functools.cached_property
    def s3(self) -> S3Client:
        return boto3.client("s3")

    @functools.cached_property
    def secrets(self) -> SecretsManagerClient:
        return boto3.client("secretsmanager")

    @functools.cached_property
    def sns(self) -> SNSClient:
        return boto3.client("sns")

    def lake(self, template: Path | None = None) -> Stack:
        return Stack(self, self.name, template)

    def account(self, account: str, template: Path | None = None) -> Stack:
        return Stack(self, f"{self.name}-{account.replace('_', '-')}", template)

    def bucket(self) -> str:
        return self.lake().output("Bucket")

    def put_once(self, key: str, content: bytes) -> None:
        """Writes an object that never changes. One that is there must be the same."""
        s3, bucket = self.s3, self.bucket()
        if self.dry_run:
            print(f"s3://{bucket}/{key}: would be uploaded, {len(content):,} bytes")
            return
        try:
            s3.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
            print(f"s3://{bucket}/{key}: uploaded, {len(content):,} bytes")
            return
        except ClientError as error:
            if error.response["Error"]["Code"] != "PreconditionFailed":
                raise
        if s3.get_object(Bucket=bucket, Key=key)["Body"].read() != content:
            raise Failure(
                f"s3://{bucket}/{key} is there with another content; a release never changes: give it another --id"
            )
        print(f"s3://{bucket}/{key}: is there")


# Commands


def lake(aws: Aws, options: argparse.Namespace) -> None:
    aws.lake(TEMPLATES / "lake.yaml").apply({"Name": aws.name, **given(options.parameter)})


def account(aws: Aws, options: argparse.Namespace) -> None:
    name = options.account
    database = "wistia" if name == "wistia" else f"wistia_{name}"
    stack = aws.account(name, TEMPLATES / "account.yaml")
    first = {} if stack.describe() else {"Database": database}
    stack.apply({"Lake": aws.name, "Account": name, **first, **given(options.parameter)})
    if not aws.dry_run:
        set_going(aws, stack)


def set_going(aws: Aws, stack: Stack) -> None:
    """Starts or stops the trigger, which a template can do only when it makes it."""
    glue, name, wanted = aws.glue, stack.output("Trigger"), stack.parameters()["Schedule"] == "on"
    state = glue.get_trigger(Name=name)["Trigger"]["State"]
    if wanted == (state in ("ACTIVATED", "ACTIVATING")):
        return
    if wanted:
        glue.start_trigger(Name=name)
    else:
        glue.stop_trigger(Name=name)
    print(f"trigger {name}: {'started' if wanted else 'stopped'}")


def given(parameters: list[str]) -> dict[str, str]:
    pairs = (parameter.partition("=") for parameter in parameters)
    return {key.strip(): value for key, _, value in pairs}


def token(aws: Aws, options: argparse.Namespace) -> None:
    """Puts the token into the secret beside what else is there."""
    secret, manager = aws.account(options.account).output("Secret"), aws.secrets
    value = getpass.getpass("Wistia API token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not value.strip():
        raise Failure("no token was given; type it, or give it by stdin")
    try:
        settings = json.loads(manager.get_secret_value(SecretId=secret)["SecretString"])
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        settings = {}
    settings["api_token"] = value.strip()
    if aws.dry_run:
        print(f"secret {secret}: would be given the token")
        return
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps(settings))
    print(f"secret {secret}: has the token")


def release(aws: Aws, options: argparse.Namespace) -> None:
    """A release is tried before the job points at it: what interrupts this leaves the job as it is."""
    files, name = pack(options.file), options.id or commit()
    # Before anything is uploaded: an account that does not exist is told at once.
    night = night_of(aws, options.check) if options.check else None
    listed = manifest(files)
    for file, content in files.items():
        aws.put_once(f"releases/{name}/{file}", content)
    # Last: a release that has a manifest is complete.
    aws.put_once(f"releases/{name}/manifest.json", listed)
    if night:
        folder = f"s3://{aws.bucket()}/releases/{name}"
        # Glue takes the script from there, and not from the job's definition: developer guide, "Using job parameters
        # in AWS Glue jobs".
        of_release = {"--scriptLocation": f"{folder}/nightly.py"}
        of_release |= {"--release": folder, "--release-sha256": checksum(listed)}
        try:
            complete(aws, night, {**of_release, **CHECK})
        except Failure as error:
            raise Failure(f"{error}\nThe job stays at the release {aws.lake().parameters()['Release']}") from error
    else:
        print(f"release {name}: was not tried; --check ACCOUNT tries one before the job points at it")
    point(aws, aws.lake().parameters(), name, checksum(listed))


def point(aws: Aws, now: Mapping[str, str], name: str, sha256: str) -> None:
    """Points the job at a release. The stack's template stays, and with it all other resources."""
    previous = now["PreviousRelease"] if name == now["Release"] else now["Release"]
    aws.lake().apply({"Release": name, "ReleaseSha256": sha256, "PreviousRelease": previous})


def rollback(aws: Aws, options: argparse.Namespace) -> None:
    now = aws.lake().parameters()
    name = options.to or now["PreviousRelease"]
    if name == "none":
        raise Failure("there is no release before this one; deploy.py release makes one")
    try:
        listed = aws.s3.get_object(Bucket=aws.bucket(), Key=f"releases/{name}/manifest.json")["Body"].read()
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        raise Failure(f"there is no release {name} in the bucket") from error
    point(aws, now, name, checksum(listed))


@dataclass(frozen=True)
class Night:
    """What runs every night for an account: a job, with these arguments."""

    job: str
    arguments: Mapping[str, str]


def night_of(aws: Aws, name: str) -> Night:
    """What the account's trigger starts."""
    try:
        trigger = aws.glue.get_trigger(Name=f"{aws.name}-{name}")["Trigger"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "EntityNotFoundException":
            raise
        raise Failure(f"the lake {aws.name} has no account {name}; make it: deploy.py account {name}") from error
    (action,) = trigger["Actions"]
    return Night(action["JobName"], action["Arguments"])


def run(aws: Aws, name: str, more: Mapping[str, str]) -> None:
    """Runs the night of an account with these arguments beside its own, to its end."""
    complete(aws, night_of(aws, name), more)


def complete(aws: Aws, night: Night, more: Mapping[str, str]) -> None:
    number = begin(aws, night, more)
    if number is None:
        return
    state, reason = end_of(aws, night.job, number)
    for group in ("error", "output"):
        print_log(aws, f"/aws-glue/python-jobs/{group}", number)
    if state != "SUCCEEDED":
        raise Failure(f"run {number} of {night.job} is {state}: {reason}")
    print(f"job {night.job}: run {number} succeeded")


def begin(aws: Aws, night: Night, more: Mapping[str, str]) -> str | None:
    """Starts a night with these arguments beside its own. The run's name, if it runs."""
    arguments = {**night.arguments, **more}
    if aws.dry_run:
        print(f"job {night.job}: would run with {json.dumps(arguments)}")
        return None
    number = aws.glue.start_job_run(JobName=night.job, Arguments=arguments)["JobRunId"]
    print(f"job {night.job}: run {number} began", flush=True)
    return number


def end_of(aws: Aws, job: str, number: str) -> tuple[str, str]:
    """Waits for the end of a run. Its state, and the reason for it."""
    pause, longest = LOOKS
    while True:
        found = aws.glue.get_job_run(JobName=job, RunId=number)["JobRun"]
        if found["JobRunState"] not in ("WAITING", "STARTING", "RUNNING", "STOPPING"):
            return found["JobRunState"], found.get("ErrorMessage", "no reason")
        time.sleep(pause)
        pause = min(pause * 1.5, longest)


def print_log(aws: Aws, group: str, stream: str) -> None:
    """Prints the log of a run. It only shows what was: whether it can be read decides nothing."""
    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[stream])
    try:
        for page in pages:
            for event in page["events"]:
                print(event["message"].rstrip())
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            print(f"warning: the log {stream} in {group} could not be read: {error}", file=sys.stderr)


def status(aws: Aws, _options: argparse.Namespace) -> None:
    now, job = aws.lake().parameters(), aws.glue.get_job(JobName=aws.lake().output("Job"))["Job"]
    print(f"bucket    {aws.bucket()}")
    print(f"release   {now['Release']}, before it {now['PreviousRelease']}")
    print(f"job       {job['Name']}: {job['Command']['ScriptLocation']}")
    for page in aws.glue.get_paginator("get_triggers").paginate():
        for trigger in page["Triggers"]:
            if any(action.get("JobName") == job["Name"] for action in trigger["Actions"]):
                print(f"night     {trigger['Name']}: {trigger['Schedule']}, {trigger['State']}")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="wistia-lake", help="name of the lake (default: wistia-lake)")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, action: Callable[[Aws, argparse.Namespace], None]) -> argparse.ArgumentParser:
        one = commands.add_parser(name)
        one.set_defaults(action=action)
        one.add_argument("--dry-run", action="store_true", help="say what would be done")
        return one

    for name, action in (("lake", lake), ("account", account)):
        one = command(name, action)
        if name == "account":
            one.add_argument("account", metavar="NAME")
        one.add_argument(
            "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="parameter of the template"
        )
    command("token", token).add_argument("account", metavar="NAME")
    one = command("release", release)
    one.add_argument("file", nargs="+", type=Path, help="tap-wistia and target-s3-parquet, or their wheels")
    one.add_argument("--id", help="name of the release (default: the commit)")
    one.add_argument("--check", metavar="ACCOUNT", help="try it for this account before the job points at it")
    command("rollback", rollback).add_argument("--to", metavar="ID", help="a certain release")
    one = command("run", lambda aws, options: run(aws, options.account, CHECK if options.check else {}))
    one.add_argument("account", metavar="NAME")
    one.add_argument("--check", action="store_true", help="try all but the sync")
    command("status", status)
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    options = arguments(argv)
    try:
        options.action(Aws(options.name, options.dry_run), options)
    except (Failure, ClientError, BotoCoreError, OSError, zipfile.BadZipFile) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

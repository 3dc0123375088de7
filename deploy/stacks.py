"""CloudFormation's stacks, as deploy.py makes and changes them, and the AWS account that they are in."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError, WaiterError

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
BEGUN = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS")
"""What a stack says of itself when a change of it begins."""
NAMING = ("Name", "Lake", "Account")
"""Parameters that say whose a stack is."""
CAPABILITIES = {"lake": ["CAPABILITY_NAMED_IAM"], "page": ["CAPABILITY_IAM"]}
"""Templates that have roles and policies: a lake's are named."""


class Failure(Exception):
    """Why a command stopped, in a sentence with what to do."""


@dataclass(frozen=True)
class Parameter:
    """What a template says of a parameter."""

    default: str
    pattern: str | None


@dataclass(frozen=True)
class Template:
    """A template of deploy/cloudformation, by its kind."""

    kind: str

    @property
    def file(self) -> Path:
        return HERE / "cloudformation" / f"{self.kind}.yaml"

    @functools.cached_property
    def text(self) -> str:
        return self.file.read_text()

    @functools.cached_property
    def parameters(self) -> dict[str, Parameter]:
        """Read as text: where this runs is no YAML."""
        _, _, section = self.text.partition("\nParameters:\n")
        section = re.split(r"^\w", section, maxsplit=1, flags=re.MULTILINE)[0]
        found = {}
        for name, rules in re.findall(r"^  (\w+):\n((?:    .*\n)+)", section, re.MULTILINE):
            said = dict(re.findall(r"^    (\w+): (.*)$", rules, re.MULTILINE))
            pattern = said.get("AllowedPattern")
            found[name] = Parameter(said.get("Default", "").strip('"'), pattern and pattern.strip('"'))
        return found

    def check(self, values: Mapping[str, str]) -> None:
        """Refuses what CloudFormation would, but for a name before it looks for a stack of it."""
        for key, value in values.items():
            pattern = self.parameters[key].pattern
            if pattern and not re.fullmatch(pattern, value):
                raise Failure(f"{key} cannot be {value!r}: {self.file.name} allows {pattern}")


class Stack:
    """A stack, there or to be."""

    def __init__(self, aws: Aws, name: str, kind: str, whose: Mapping[str, str]) -> None:
        self.aws, self.name, self.template, self.whose = aws, name, Template(kind), whose
        self.template.check(whose)

    def describe(self) -> StackTypeDef | None:
        """The stack, if it is there. One of that name which is something else is never touched."""
        try:
            found = self.aws.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in str(error):
                return None
            raise
        is_of = {key: value for key, value in values(found).items() if key in NAMING}
        # A stack that was never completed has no outputs.
        kind = outputs(found).get("Kind", self.template.kind)
        if (kind, is_of) != (self.template.kind, self.whose):
            raise Failure(
                f"the stack {self.name} is not that of {told(self.template.kind, self.whose)}, but of "
                f"{told(kind, is_of)}, and stays as it is; take another name"
            )
        return found

    def must(self) -> StackTypeDef:
        found = self.describe()
        if not found:
            raise Failure(f"there is no stack {self.name}; make it: deploy.py lake, deploy.py account")
        return found

    def parameters(self) -> dict[str, str]:
        return values(self.must())

    def output(self, name: str) -> str:
        found = self.must()
        if name not in outputs(found):
            raise Failure(
                f"the stack {self.name} is {found['StackStatus']} and has no {name}; "
                "make it again: deploy.py lake, deploy.py account"
            )
        return outputs(found)[name]

    def unusual(self, changes: Mapping[str, str]) -> list[tuple[str, str, bool]]:
        """What would differ from the defaults after these changes: the parameter, its value, whether it is kept."""
        there = self.describe()
        now, found = values(there) if there else {}, []
        for name, parameter in self.template.parameters.items():
            value = changes.get(name, now.get(name, parameter.default))
            if value != parameter.default:
                found.append((name, value, name not in changes))
        return found

    def apply(self, changes: Mapping[str, str]) -> None:
        """Makes the stack, or changes it: to its template and these parameters; the others keep their values.

        Always to the template that lies here. What is deployed may be somebody's who could change this stack alone,
        and would now get the rights of who asks.
        """
        there = self.describe()
        if there and there["StackStatus"] in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED"):
            raise Failure(
                f"the stack {self.name} was never completed; see its events for why, then delete it: "
                f"aws cloudformation delete-stack --stack-name {self.name}"
            )
        if self.aws.dry_run:
            self.foretell(there, changes)
            return
        changes = {**changes, **self.whose}
        # One that the template has no more is forgotten.
        kept = (set(values(there)) & set(self.template.parameters)) - set(changes) if there else set()
        request: dict[str, Any] = {
            "StackName": self.name,
            "TemplateBody": self.template.text,
            "Capabilities": CAPABILITIES.get(self.template.kind, []),
            "Parameters": [
                *({"ParameterKey": key, "ParameterValue": value} for key, value in changes.items()),
                *({"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)),
            ],
        }
        cloudformation, verb = self.aws.cloudformation, "update" if there else "create"
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
        if not there:
            print(f"stack {self.name}: would be created from {self.template.file.name} with {changes or 'defaults'}")
            return
        current, lines = values(there), list[str]()
        for key, value in changes.items():
            if current.get(key) != value:
                lines.append(f"  {key}: {current.get(key)} -> {value}")
        body = str(self.aws.cloudformation.get_template(StackName=self.name)["TemplateBody"])
        lines += difflib.unified_diff(
            body.splitlines(), self.template.text.splitlines(), "deployed", self.template.file.name, lineterm="", n=2
        )
        print("\n".join([f"stack {self.name}: {'would be updated' if lines else 'nothing to change'}", *lines]))


def values(stack: StackTypeDef) -> dict[str, str]:
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", [])}


def outputs(stack: StackTypeDef) -> dict[str, str]:
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", [])}


def told(kind: str, whose: Mapping[str, str]) -> str:
    return " ".join([kind, *(f"{key}={value}" for key, value in whose.items())])


class Aws:
    """The account that is deployed into, and the lake's name in it."""

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

    @functools.cached_property
    def lake(self) -> Stack:
        return Stack(self, self.name, "lake", {"Name": self.name})

    @functools.cached_property
    def job(self) -> Stack:
        return Stack(self, f"{self.name}-job", "job", {"Lake": self.name})

    def account(self, account: str) -> Stack:
        name = f"{self.name}-{account.replace('_', '-')}"
        return Stack(self, name, "account", {"Lake": self.name, "Account": account})

    def page(self, account: str) -> Stack:
        name = f"{self.name}-{account.replace('_', '-')}-page"
        return Stack(self, name, "page", {"Lake": self.name, "Account": account})

    @functools.cached_property
    def bucket(self) -> str:
        return self.lake.output("Bucket")

    def put_once(self, key: str, content: bytes) -> None:
        """Writes an object that never changes. One that is there must be the same."""
        s3, bucket = self.s3, self.bucket
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

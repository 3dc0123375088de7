#!/usr/bin/env python3
"""Deploys the lake: stacks, releases, tokens, nights. Says with --dry-run what it would do.

    deploy.py lake                       the bucket, roles, alerts (lake.yaml) and the job (job.yaml)
    deploy.py account NAME               a Wistia account: secret, tables, night, alarm (account.yaml)
    deploy.py token NAME                 puts the account's token, from stdin, into its secret
    deploy.py release FILE...            uploads programs or their wheels, tries them with --check ACCOUNT,
                                         and points the job at them
    deploy.py rollback                   points the job at the release before
    deploy.py run NAME [--check]         a night now, or a try without a sync; prints its log
    deploy.py page NAME                  the page of an account, built after each night (page.yaml)
    deploy.py link NAME --key FILE       a link that opens the page for some days
    deploy.py status                     what is deployed

Every command may be given again: what is there already stays as it is. Region and credentials come
from where the AWS tools look for them.
"""

from __future__ import annotations

import argparse
import difflib
import getpass
import json
import sys
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError

from access import link
from releases import checksum, manifest, name_of, pack
from stacks import NAMING, Aws, Failure, Stack

CHECK = {"--only": "check"}
"""What makes a run a try."""
SECRET_SETTINGS = ("api_token", "personal_data_salt")
"""Settings of the tap that are for the secret alone."""
LOOKS = (0.5, 10)
"""Seconds between two looks at a run: at its begin, and at most."""


def lake(aws: Aws, options: argparse.Namespace) -> None:
    """Both stacks of the lake. Each parameter goes to the one that knows it."""
    changes: dict[str, dict[str, str]] = {"lake": {}, "job": {}}
    stacks = (aws.lake, aws.job)
    for key, value in given(options.parameter).items():
        knowing = [stack.template.kind for stack in stacks if key in stack.template.parameters]
        if not knowing:
            names = [name for stack in stacks for name in stack.template.parameters]
            close = difflib.get_close_matches(key, names, 1) or ["one of " + ", ".join(names)]
            raise Failure(f"a lake has no parameter {key}; did you mean {close[0]}?")
        changes[knowing[0]][key] = value
    if not aws.lake.describe():
        changes["lake"].setdefault("DatabasePrefix", prefix_of(aws.name))
    if "DatabasePrefix" in changes["lake"]:
        not_taken(aws, changes["lake"]["DatabasePrefix"])
    agree(aws, {stack: changes[stack.template.kind] for stack in stacks}, options.yes)
    for stack in stacks:
        stack.apply(changes[stack.template.kind])


def prefix_of(lake: str) -> str:
    """What the names of a lake's databases begin with, if nothing else is said: of wistia-lake it is wistia."""
    return (lake[: -len("-lake")] if lake.endswith("-lake") else lake).replace("-", "_")


def not_taken(aws: Aws, prefix: str) -> None:
    """Refuses a prefix that is another lake's. So would CloudFormation, after it has made all else."""
    for page in aws.cloudformation.get_paginator("list_exports").paginate():
        for export in page["Exports"]:
            if export["Name"] == f"DatabasePrefix-{prefix.replace('_', '-')}" and export["Value"] != aws.name:
                raise Failure(
                    f"the databases {prefix} and {prefix}__… are those of the lake {export['Value']}: "
                    "choose another prefix with -p DatabasePrefix=…"
                )


def agree(aws: Aws, wanted: Mapping[Stack, Mapping[str, str]], yes: bool) -> None:
    """Shows all that differs from the defaults, and asks whether what is kept of it is meant: somebody else may have
    left it, and it would now be deployed with the rights of who asks."""
    any_kept = False
    for stack, changes in wanted.items():
        found = stack.unusual({**stack.whose, **changes})
        for name, value, kept in found:
            any_kept = any_kept or kept
            shown = value if value.isprintable() else repr(value)
            print(f"stack {stack.name}: {name}={shown} ({'kept' if kept else 'given now'})", flush=True)
        stack.template.check({name: value for name, value, _ in found})
    if not any_kept or yes or aws.dry_run:
        return
    if not sys.stdin.isatty():
        raise Failure(
            "parameters are kept that differ from their defaults, as listed above; say --yes if they are meant"
        )
    if input("Deploy with these? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failure("nothing was changed")


def account(aws: Aws, options: argparse.Namespace) -> None:
    stack, parameters = aws.account(options.account), given(options.parameter)
    no_secrets(parameters.get("TapSettings", "{}"))
    # Its night is a trigger of that job.
    aws.lake.must()
    aws.job.must()
    stack.apply(parameters)
    if not aws.dry_run:
        set_going(aws, stack)


def page(aws: Aws, options: argparse.Namespace) -> None:
    """The page of an account, where it is wanted: no other command makes or changes it."""
    stack = aws.page(options.account)
    aws.lake.must()
    aws.account(options.account).must()
    stack.apply(given(options.parameter))
    if not aws.dry_run:
        for name in ("Url", "Repository"):
            print(f"{name.lower()}: {stack.output(name)}")


def no_secrets(tap_settings: str) -> None:
    """Refuses what would be shown wherever the stack and its trigger are, and be logged."""
    try:
        settings = json.loads(tap_settings)
    except ValueError as error:
        raise Failure(f"TapSettings is no JSON: {error}") from error
    if not isinstance(settings, dict):
        raise Failure("TapSettings is no JSON object")
    found = sorted(set(settings) & set(SECRET_SETTINGS))
    if found:
        raise Failure(f"TapSettings has {' and '.join(found)}; that belongs into the secret: deploy.py token")


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
    """What -p says."""
    pairs = (parameter.partition("=") for parameter in parameters)
    found = {key.strip(): value for key, _, value in pairs}
    for key in NAMING:
        if key in found:
            raise Failure(f"{key} is no parameter to give: --name and the account's name say it")
    return found


def token(aws: Aws, options: argparse.Namespace) -> None:
    """Puts the token into the secret beside what else is there."""
    secret, manager = aws.account(options.account).output("Secret"), aws.secrets
    value = getpass.getpass("Wistia API token: ") if sys.stdin.isatty() else sys.stdin.readline()
    if not value.strip():
        raise Failure("no token was given; type it, or give it by stdin")
    settings = {**beside_the_token(aws, secret), "api_token": value.strip()}
    if aws.dry_run:
        print(f"secret {secret}: would be given the token")
        return
    manager.put_secret_value(SecretId=secret, SecretString=json.dumps(settings))
    print(f"secret {secret}: has the token")


def beside_the_token(aws: Aws, secret: str) -> dict[str, object]:
    """What else a secret holds: nothing, where there is none yet or it is the token alone."""
    try:
        text = aws.secrets.get_secret_value(SecretId=secret).get("SecretString")
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceNotFoundException":
            raise
        return {}
    if text is None:
        raise Failure(f"the secret {secret} is binary, and stays as it is: no night could read it")
    try:
        found = json.loads(text)
    except ValueError as error:
        if text.lstrip().startswith("{"):
            raise Failure(
                f"the secret {secret} begins as JSON and is none, and stays as it is: it may hold a salt that "
                "would be lost; mend it in the console"
            ) from error
        return {}
    return found if isinstance(found, dict) else {}


def release(aws: Aws, options: argparse.Namespace) -> None:
    """A release is tried before the job points at it: what interrupts this leaves the job as it is."""
    files = pack(options.file)
    listed = manifest(files)
    name = options.id or name_of(listed)
    aws.job.template.check({"Release": name})
    # Before anything is uploaded: an account that does not exist is told at once.
    night = night_of(aws, options.check) if options.check else None
    for file, content in files.items():
        aws.put_once(f"releases/{name}/{file}", content)
    # Last: a release that has a manifest is complete.
    aws.put_once(f"releases/{name}/manifest.json", listed)
    if night:
        folder = f"s3://{aws.bucket}/releases/{name}"
        # Glue takes the script from there, and not from the job's definition: developer guide, "Using job parameters
        # in AWS Glue jobs".
        of_release = {"--scriptLocation": f"{folder}/nightly.py"}
        of_release |= {"--release": folder, "--release-sha256": checksum(listed)}
        try:
            complete(aws, night, {**of_release, **CHECK})
        except Failure as error:
            raise Failure(f"{error}\nThe job stays at the release {aws.job.parameters()['Release']}") from error
    else:
        print(f"release {name}: was not tried; --check ACCOUNT tries one before the job points at it")
    point(aws, aws.job.parameters(), name, checksum(listed))


def point(aws: Aws, now: Mapping[str, str], name: str, sha256: str) -> None:
    """Points the job at a release."""
    previous = now["PreviousRelease"] if name == now["Release"] else now["Release"]
    aws.job.apply({"Release": name, "ReleaseSha256": sha256, "PreviousRelease": previous})


def rollback(aws: Aws, options: argparse.Namespace) -> None:
    now = aws.job.parameters()
    name = options.to or now["PreviousRelease"]
    if name == "none":
        raise Failure("there is no release before this one; deploy.py release makes one")
    try:
        listed = aws.s3.get_object(Bucket=aws.bucket, Key=f"releases/{name}/manifest.json")["Body"].read()
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
        trigger = aws.glue.get_trigger(Name=f"{aws.name}.{name}")["Trigger"]
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
    name = uuid.uuid4().hex[:12]
    number = begin(aws, night, {**more, "--run": name})
    if number is None:
        return
    state, reason = end_of(aws, night.job, number)
    shown = [print_log(aws, f"/aws-glue/python-jobs/{group}", number) for group in ("error", "output")]
    if not all(shown):
        # What a try tells, for those who may read what the lake's job writes and no other job's.
        print_log(aws, f"/{aws.name}/runs", f"check/{name}")
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


def print_log(aws: Aws, group: str, stream: str) -> bool:
    """Prints the log of a run, if it can be read: it only shows what was, and decides nothing."""
    pages = aws.logs.get_paginator("filter_log_events").paginate(logGroupName=group, logStreamNames=[stream])
    try:
        for page in pages:
            for event in page["events"]:
                print(event["message"].rstrip())
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code == "ResourceNotFoundException":
            return True
        if code == "AccessDeniedException":
            print(f"log {stream} in {group}: is not for you to read")
        else:
            print(f"warning: the log {stream} in {group} could not be read: {error}", file=sys.stderr)
        return False
    return True


def status(aws: Aws, _options: argparse.Namespace) -> None:
    now, job = aws.job.parameters(), aws.glue.get_job(JobName=aws.name)["Job"]
    print(f"bucket    {aws.bucket}")
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

    for name, action in (("lake", lake), ("account", account), ("page", page)):
        one = command(name, action)
        if name != "lake":
            one.add_argument("account", metavar="NAME")
        if name == "lake":
            one.add_argument("--yes", action="store_true", help="do not ask whether what is kept is meant")
        one.add_argument(
            "-p", "--parameter", action="append", default=[], metavar="KEY=VALUE", help="parameter of the template"
        )
    command("token", token).add_argument("account", metavar="NAME")
    one = command("release", release)
    one.add_argument("file", nargs="+", type=Path, help="tap-wistia and target-s3-parquet, or their wheels")
    one.add_argument(
        "--id", help="name of the release (default: the commit, with -dirty- and a checksum where more lies here)"
    )
    one.add_argument("--check", metavar="ACCOUNT", help="try it for this account before the job points at it")
    command("rollback", rollback).add_argument("--to", metavar="ID", help="a certain release")
    one = command("run", lambda aws, options: run(aws, options.account, CHECK if options.check else {}))
    one.add_argument("account", metavar="NAME")
    one.add_argument("--check", action="store_true", help="try all but the sync")
    one = command("link", link)
    one.add_argument("account", metavar="NAME")
    one.add_argument("--key", required=True, type=Path, help="private half of a key of the page, in PEM")
    one.add_argument("--days", type=int, default=7, help="for how long it opens the page (default: 7)")
    one.add_argument("--from-ip", metavar="CIDR", help="addresses from which it opens the page, such as 192.0.2.0/24")
    one.add_argument("--cookies", action="store_true", help="the cookies themselves, for programs")
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

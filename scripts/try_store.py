#!/usr/bin/env python3
"""Whether a server that speaks the protocol of S3 will do as a lake: `try_store.py ENDPOINT [NAME]`.

Tries what the commit protocol needs, then everything that a lake asks of a store, in a bucket of its own that is
removed again, and prints a row for docs/stores.md. Credentials come from the environment, as AWS reads it; without
any, they are `test` and `test`. BUCKET names a bucket where none may be made: it must be empty.
"""

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

CARGO = ["cargo", "test", "--workspace", "--locked", "--quiet", "--test", "conformance", "--"]
BUCKET = "try-store"
WORDS = {
    "": "yes",
    "Ignored": "ignores it",
    "Refused": "refuses it",
    "Unquoted": "compares without quotes",
}
PROBED = ["CreateIfAbsent Whole", "ReplaceIfUnchanged Whole", "CreateIfAbsent InParts", "ReplaceIfUnchanged InParts"]


AT_ONCE = "of many writers at one instant one wins"
"""The one promise that no server keeps whose conditions are not asked for."""


def tried(test: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [*CARGO, "--exact", test, "--nocapture"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def probed(environment: dict[str, str]) -> list[str]:
    """What the server does with each condition; nothing if it takes no such write at all."""
    done = tried("what_a_probe_finds_of_s3", environment)
    found = dict(re.findall(r"^probe (\w+ \w+): (.*)$", done.stdout, re.M))
    return [WORDS.get(found[trial], f"fails: {found[trial]}") for trial in PROBED] if found else []


def broken(environment: dict[str, str]) -> list[str]:
    """The promises that the server does not keep, each with what it did."""
    done = tried("s3_keeps_every_promise", environment)
    said = done.stdout + done.stderr
    if done.returncode == 0 and "promises kept" in said:
        return []
    findings = re.search(r"is no store:\n(.*?)\n(?:note: |stack |\n|$)", said, re.S)
    if not findings:
        sys.exit(f"the server could not be tried:\n{said[-3000:]}")
    return findings[1].splitlines()


def row(name: str, environment: dict[str, str]) -> str:
    cells, kept = probed(environment), broken(environment)
    for finding in kept:
        print(f"broken: {finding}", file=sys.stderr)
    verdict = "yes"
    if kept or set(cells) != {"yes"}:
        alone = broken({**environment, "LAKE_TEST_S3_ONE_WRITER": "1"})
        for finding in alone:
            print(f"broken without conditions: {finding}", file=sys.stderr)
        verdict = "no" if [finding for finding in alone if not finding.startswith(AT_ONCE)] else "one writer"
    promises = f"{len({finding.split(':')[0] for finding in kept}) or 'none'} broken"
    cells = cells or ["fails"] * len(PROBED)
    return f"| {' | '.join([name, *cells, promises, verdict, str(datetime.now(UTC).date())])} |"


def remove(client: Any, bucket: str, itself: bool) -> None:
    """Removes what is left, where the server lets it be removed."""
    try:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for item in page.get("Contents", []):
                client.delete_object(Bucket=bucket, Key=item["Key"])
        if itself:
            client.delete_bucket(Bucket=bucket)
    except (BotoCoreError, ClientError) as error:
        print(f"the bucket {bucket} could not be removed: {error}", file=sys.stderr)


def main(endpoint: str, name: str = "") -> None:
    os.environ.setdefault("AWS_ACCESS_KEY_ID", "test")
    os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "test")
    region = os.environ.setdefault("AWS_REGION", "us-east-1")
    style = Config(s3={"addressing_style": "path"}, region_name=region)
    client = boto3.client("s3", endpoint_url=endpoint, config=style)
    given = os.environ.get("BUCKET")
    bucket = given or BUCKET
    try:
        if not given:
            client.create_bucket(Bucket=bucket)
        if client.list_objects_v2(Bucket=bucket).get("KeyCount"):
            sys.exit(f"the bucket {bucket} is not empty")
    except (BotoCoreError, ClientError) as error:
        sys.exit(f"the bucket {bucket} cannot be used: {error}")
    environment = {**os.environ, "LAKE_TEST_S3_ENDPOINT": endpoint, "LAKE_TEST_S3_BUCKET": bucket}
    try:
        print(row(name or endpoint, environment))
    finally:
        remove(client, bucket, itself=not given)


if __name__ == "__main__":
    main(*sys.argv[1:])

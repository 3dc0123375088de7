#!/usr/bin/env python3
"""The page of a lake, built and copied to its bucket: what the task of cloudformation/page.yaml runs after a night.

    publish.py --lake s3://BUCKET/lake/ACCOUNT --catalog glue:wistia --bucket PAGES --content-security-policy POLICY
    publish.py … --marts athena --database wistia --marts-database wistia_marts --results s3://MARTS --workgroup NAME

All is built before anything is copied: a build that fails changes nothing in the bucket. Then new files come first,
index.html behind all others, and what is gone is removed last; so whatever happens between, index.html and all
that can be reached from it is there. With --marts athena dbt makes the marts as tables of Athena too.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ROOT = Path(__file__).resolve().parent.parent.parent
INDEX = "index.html"
KINDS = {".html": "text/html; charset=utf-8", ".txt": "text/plain; charset=utf-8"}
"""What a file says that it is. S3 would call all of them binary, and a browser download them."""


class Failure(Exception):
    """Why nothing was published, in a sentence with what to do."""


def build(lake: str, catalog: str, folder: Path) -> dict[str, bytes]:
    """The files of the page, by name."""
    command: list[str | Path] = [sys.executable, ROOT / "report" / "build.py", "--lake", lake, "--out", folder / "page"]
    command += ["--catalog", catalog] if catalog else []
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise Failure(f"the page could not be built, and the bucket stays as it is:\n{done.stderr.strip()}")
    sys.stderr.write(done.stderr)
    return {path.name: path.read_bytes() for path in sorted((folder / "page").iterdir())}


class Page(HTMLParser):
    """What a page links to, and the policy that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.policy = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if given.get("http-equiv", "").lower() == "content-security-policy":
            self.policy = given.get("content", "")
        for name in ("href", "src"):
            address = given.get(name, "").partition("#")[0].partition("?")[0]
            if address and ":" not in address:
                self.links.add(address)


def check(files: Mapping[str, bytes], policy: str) -> None:
    """Refuses a site that could not be read where it is published."""
    if INDEX not in files:
        raise Failure(f"the page has no {INDEX}: one of report/pages must be index.md")
    for name, content in files.items():
        if Path(name).suffix not in KINDS:
            raise Failure(f"{name}: a page consists of {' and '.join(KINDS)} files")
        if not name.endswith(".html"):
            continue
        page = Page(content.decode())
        if missing := sorted(page.links - set(files)):
            raise Failure(f"{name} links to {', '.join(missing)}, which the page does not have")
        if page.policy != policy:
            raise Failure(
                f"{name} is drawn by other scripts than those that CloudFront lets run: image and stack are of two "
                "versions; make generate, deploy.py page, and push an image of the same checkout"
            )


def keys_of(s3: S3Client, bucket: str) -> set[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return {item["Key"] for page in pages for item in page.get("Contents", [])}


def publish(s3: S3Client, bucket: str, files: Mapping[str, bytes], edge_seconds: int) -> None:
    """Makes the bucket hold these files and no others."""
    before, index = keys_of(s3, bucket), ""
    for name in sorted(files, key=lambda name: (name == INDEX, name in before, name)):
        done = s3.put_object(
            Bucket=bucket,
            Key=name,
            Body=files[name],
            ContentType=KINDS[Path(name).suffix],
            CacheControl=f"max-age={edge_seconds}",
        )
        index = done["ETag"]
    gone = sorted(before - set(files))
    if gone:
        # As long as CloudFront and browsers may still show pages that link to them.
        time.sleep(edge_seconds)
        if s3.head_object(Bucket=bucket, Key=INDEX)["ETag"] != index:
            print("another run publishes at the same time: what is gone is left to the next one", file=sys.stderr)
            gone = []
    for name in gone:
        s3.delete_object(Bucket=bucket, Key=name)
    size = sum(map(len, files.values()))
    print(f"s3://{bucket}: {len(files)} files, {size:,} bytes, {len(gone)} removed")


def make_marts(chosen: argparse.Namespace, folder: Path) -> None:
    """The marts as tables of Athena, by dbt."""
    project = ROOT / "dbt"
    variables = {"wistia_schema": chosen.database, "wistia_personal_schema": f"{chosen.database}__personal"}
    command: list[str | Path] = [Path(sys.executable).parent / "dbt", "--no-use-colors", "build", "--target", "athena"]
    # Tests ask again what the marts were made of; `dbt test --target athena` is for who wants to pay for that.
    command += ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
    command += ["--project-dir", project, "--profiles-dir", project, "--vars", json.dumps(variables)]
    command += ["--target-path", folder / "target", "--log-path", folder / "logs"]
    names = {
        "WISTIA_SCHEMA": chosen.marts_database,
        "WISTIA_ATHENA_RESULTS": f"{chosen.results}/results/",
        "WISTIA_ATHENA_TABLES": f"{chosen.results}/marts/",
        "WISTIA_ATHENA_WORKGROUP": chosen.workgroup,
    }
    done = subprocess.run(command, env={**os.environ, **names}, capture_output=True, text=True)
    said = [line for line in done.stdout.splitlines() if line[10:].strip()]
    if done.returncode:
        raise Failure("\n".join(["dbt could not make the marts in Athena:", *said[-25:], done.stderr[-2000:]]))
    print(f"{chosen.marts_database}: {said[-1][10:].strip()}")


def arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lake", required=True, help="s3://bucket/prefix of the lake")
    parser.add_argument("--catalog", default="", help="catalog of its Iceberg tables, such as glue:wistia")
    parser.add_argument("--bucket", required=True, help="bucket of the page")
    parser.add_argument("--content-security-policy", required=True, help="the policy with which the page is served")
    parser.add_argument(
        "--edge-seconds", type=int, default=60, help="how long a page may be shown after it was replaced (default: 60)"
    )
    parser.add_argument("--marts", choices=["none", "athena"], default="none", help="where else dbt makes the marts")
    parser.add_argument("--database", help="Glue database of the lake's tables")
    parser.add_argument("--marts-database", help="Glue database of the marts")
    parser.add_argument("--results", help="s3:// of the marts and of what Athena answers")
    parser.add_argument("--workgroup", help="workgroup of Athena")
    chosen = parser.parse_args(argv)
    needed = ("database", "marts_database", "results", "workgroup")
    if chosen.marts == "athena" and not all(getattr(chosen, name) for name in needed):
        parser.error(f"--marts athena needs {', '.join('--' + name.replace('_', '-') for name in needed)}")
    return chosen


def main(argv: list[str]) -> int:
    chosen, failed = arguments(argv), 0
    with tempfile.TemporaryDirectory() as folder:
        # Neither waits for the other: a page of last night is no reason for marts of last night.
        for name in ("page", "athena"):
            try:
                if name == "page":
                    files = build(chosen.lake, chosen.catalog, Path(folder))
                    check(files, chosen.content_security_policy)
                    publish(boto3.client("s3"), chosen.bucket, files, chosen.edge_seconds)
                elif chosen.marts == "athena":
                    make_marts(chosen, Path(folder) / "athena")
            except (Failure, ClientError, BotoCoreError) as error:
                print(f"error: {error}", file=sys.stderr)
                failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

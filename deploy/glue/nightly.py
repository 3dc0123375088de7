#!/usr/bin/env python3
"""One night: a Wistia account into the lake, by tap-wistia and target-s3-parquet and a pipe between.

Runs as a Glue Python shell job, in a container, on a CI runner: wherever Python 3.9 and boto3 are.

The state is the target's. It alone moves it, on S3, after the rows that it covers are durable, and
only if no other run moved it meanwhile. So a night may die anywhere:

    before the pipe   nothing has changed
    in the pipe       the next night goes on from the last state; rows that come twice are one row
    after the pipe    everything is done but the summary; the next night finds nothing new
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient

TAP, TARGET = "tap-wistia", "target-s3-parquet"
SECRET_SETTINGS = ("api_token", "personal_data_salt")
HANDED_TO_THE_TAP = re.compile(
    r"PATH|HOME|TMPDIR|TZ|LANG|LC_\w+|SSL_CERT_(FILE|DIR)|RUST_(LOG|BACKTRACE)"
    r"|(HTTPS?|ALL|NO)_PROXY|(https?|all|no)_proxy"
)
"""What of the environment a program needs that asks Wistia and writes to a pipe. The credentials of the night, for AWS
or whatever else is near, are not its business."""
KEPT_ERROR = 2000
"""Characters of a program's error that the summary repeats."""


class Failure(Exception):
    """What stops a night before its pipe, in a sentence with what to do."""


def arguments(argv: Sequence[str]) -> argparse.Namespace:
    # No abbreviations: an argument of Glue's own could be one.
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--account", default="wistia", help="name of the Wistia account, for logs and metrics")
    parser.add_argument("--destination", required=True, metavar="S3-URL", help="where its tables are")
    parser.add_argument("--state", metavar="S3-URL", help="where its state is (default: _lake/state.json there)")
    parser.add_argument("--secret", help="its secret in Secrets Manager (default: TAP_WISTIA_API_TOKEN is set)")
    parser.add_argument("--tap-settings", default="{}", metavar="JSON", help="settings of the tap for it")
    parser.add_argument("--target-settings", default="{}", metavar="JSON", help="settings of the target for it")
    parser.add_argument("--release", metavar="S3-URL", help="release to fetch the programs from")
    parser.add_argument("--release-sha256", help="SHA-256 of its manifest")
    parser.add_argument("--programs", type=Path, help="their folder, without a release (default: that of this file)")
    parser.add_argument("--region", help="AWS region (default: that of the environment)")
    # Glue keeps names of its own, such as mode: tests hold these against its list.
    parser.add_argument("--only", choices=["check"], help="check tries all but the sync")
    parser.add_argument("--run", metavar="NAME", help="name of this run in the log group (default: made up)")
    parser.add_argument("--metrics-log-group", metavar="NAME", help="log group for the metrics (default: stdout)")
    parser.add_argument("--metrics-namespace", default="wistia-lake", metavar="NAME")
    # Glue adds arguments of its own.
    known, _ = parser.parse_known_args(argv)
    known.state = known.state or f"{known.destination.rstrip('/')}/_lake/state.json"
    if known.release and not known.release_sha256:
        parser.error("--release needs --release-sha256")
    return known


class Aws:
    """The few calls of a night."""

    def __init__(self, region: str | None) -> None:
        self.config = Config(region_name=region, retries={"mode": "standard", "max_attempts": 8})

    @functools.cached_property
    def s3(self) -> S3Client:
        return boto3.client("s3", config=self.config)

    @functools.cached_property
    def secrets(self) -> SecretsManagerClient:
        return boto3.client("secretsmanager", config=self.config)

    @functools.cached_property
    def logs(self) -> CloudWatchLogsClient:
        return boto3.client("logs", config=self.config)

    def read(self, url: str) -> bytes | None:
        """The bytes of an object, or None if there is none."""
        bucket, _, key = url.partition("//")[2].partition("/")
        for is_last in (False, False, True):
            try:
                return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            except ClientError as error:
                if error.response["Error"]["Code"] == "NoSuchKey":
                    return None
                raise Failure(f"{url} could not be read: {error}") from error
            except BotoCoreError as error:
                # Of a body that breaks off boto3 itself makes no second try.
                if is_last:
                    raise Failure(f"{url} could not be read: {error}") from error
        return None

    def secret(self, name: str) -> str:
        try:
            return self.secrets.get_secret_value(SecretId=name)["SecretString"]
        except ClientError as error:
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                raise Failure(
                    f"the secret {name} is not there or has no value; put the token into it: deploy.py token"
                ) from error
            raise Failure(f"the secret {name} could not be read: {error}") from error
        except (BotoCoreError, KeyError) as error:
            raise Failure(f"the secret {name} could not be read: {error}") from error

    def log(self, group: str, stream: str, now: datetime, document: dict[str, Any]) -> None:
        self.logs.create_log_stream(logGroupName=group, logStreamName=stream)
        at, message = int(now.timestamp() * 1000), json.dumps(document)
        self.logs.put_log_events(
            logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message}]
        )


def fetch(aws: Aws, release: str, sha256: str, folder: Path) -> None:
    """Fetches the files of a release into a folder, each checked against the manifest, and that against
    the checksum which the job was given."""
    manifest = fetch_one(aws, f"{release}/manifest.json", sha256)
    for name, file in json.loads(manifest)["files"].items():
        if Path(name).name != name:
            raise Failure(f"{release}/manifest.json names {name!r}, which is no file name")
        path = folder / name
        path.write_bytes(fetch_one(aws, f"{release}/{name}", file["sha256"]))
        path.chmod(0o755)


def fetch_one(aws: Aws, url: str, sha256: str) -> bytes:
    content = aws.read(url)
    if content is None:
        raise Failure(f"{url} is not there; deploy a release: deploy.py release")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise Failure(f"{url} has the SHA-256 {found}, not {sha256}; it was changed after it was deployed")
    return content


def secret_settings(name: str, text: str) -> dict[str, str]:
    """Settings of the tap that a secret holds: a JSON object of them, or the token alone."""
    try:
        settings = json.loads(text)
    except ValueError:
        settings = text
    if not isinstance(settings, dict):
        settings = {"api_token": (settings if isinstance(settings, str) else text).strip()}
    unknown = sorted(set(settings) - set(SECRET_SETTINGS))
    no_text = sorted(key for key, value in settings.items() if not isinstance(value, str))
    if unknown:
        problem = f"has {', '.join(unknown)}"
    elif no_text:
        problem = f"has {' and '.join(no_text)}, but not as text"
    elif not settings.get("api_token"):
        problem = "has no api_token"
    else:
        return {f"TAP_WISTIA_{key.upper()}": value for key, value in settings.items()}
    raise Failure(f"the secret {name} {problem}; it may hold {' and '.join(SECRET_SETTINGS)}, as text")


def refuse_secrets(tap_settings: str) -> None:
    """Refuses secrets among the settings of an account: they are arguments, which many may read and logs repeat."""
    try:
        settings = json.loads(tap_settings)
    except ValueError:
        # The tap tells what is wrong with it.
        return
    found = sorted(set(settings) & set(SECRET_SETTINGS)) if isinstance(settings, dict) else []
    if found:
        raise Failure(f"--tap-settings has {' and '.join(found)}; that belongs into the secret: deploy.py token")


class Program:
    """A program of the pipe. Its log goes on to ours as it comes; its summary and its error are kept."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        stdin: IO[bytes] | None = None,
        stdout: int | IO[str] | None = None,
    ) -> None:
        self.process = subprocess.Popen(command, env=environment, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
        self.summary: dict[str, Any] = {}
        self.error = ""
        self.reader = threading.Thread(target=self.relay, args=[self.process.stderr])
        self.reader.start()

    def relay(self, log: IO[bytes]) -> None:
        for line in log:
            text = line.decode(errors="replace")
            sys.stderr.write(text)
            sys.stderr.flush()
            if self.error or text.startswith("error: "):
                self.error = (self.error + text)[:KEPT_ERROR]
            elif '"summary"' in text:
                self.summary = told(text) or self.summary

    def wait(self) -> int:
        """The exit code, as a shell tells it."""
        code = self.process.wait()
        self.reader.join()
        return code if code >= 0 else 128 - code


def told(line: str) -> dict[str, Any] | None:
    """The summary in a line of a program's log, if it is one."""
    try:
        found = json.loads(line)["fields"]["summary"]
        # Programs of an older release write it as text.
        summary: dict[str, Any] = json.loads(found) if isinstance(found, str) else found
        return summary
    except (ValueError, KeyError, TypeError):
        return None


def commands(options: argparse.Namespace, folder: Path, state: Path) -> tuple[list[str], list[str]]:
    """The two command lines. Settings: those of the release, over them the account's, over them the environment."""
    layers = {}
    settings = ((TAP, "tap.json", options.tap_settings), (TARGET, "target.json", options.target_settings))
    for program, file, own in settings:
        account = state.parent / file
        account.write_text(own)
        layers[program] = [str(folder / program), "--log-format", "json"]
        for config in (folder / file, account, "ENV"):
            layers[program] += ["--config", str(config)]
    catalog = folder / "catalog.json"
    if catalog.exists():
        layers[TAP] += ["--catalog", str(catalog)]
    if state.exists():
        layers[TAP] += ["--state", str(state)]
    layers[TARGET] += ["--state-out", options.state]
    return layers[TAP], layers[TARGET]


def run_pipe(
    tap_command: Sequence[str],
    target_command: Sequence[str],
    tap_environment: Mapping[str, str],
    target_environment: Mapping[str, str],
) -> tuple[Program, Program]:
    """Runs the pipe to its end. A signal to us is one to both: the target then keeps what a state covers."""
    tap = Program(tap_command, tap_environment, stdout=subprocess.PIPE)
    try:
        target = Program(target_command, target_environment, stdin=tap.process.stdout, stdout=subprocess.DEVNULL)
    finally:
        # So that the tap hears of it when the target dies, or never lived.
        if tap.process.stdout:
            tap.process.stdout.close()

    def stop(number: int, _frame: FrameType | None) -> None:
        for program in (tap, target):
            program.process.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    return tap, target


def today() -> date:
    return datetime.now(timezone.utc).date()


def lag_days(state: bytes | None, now: date) -> int | None:
    """Days since the last day that every stream has been read to, or None where no state tells."""
    try:
        bookmarks = json.loads(state or "")["bookmarks"].values()
        days = [date.fromisoformat(bookmark["day"]) for bookmark in bookmarks if bookmark.get("day")]
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return (now - min(days)).days if days else None


METRICS = {
    "Records": "Count",
    "Requests": "Count",
    "Bytes": "Bytes",
    "Seconds": "Seconds",
    "LagDays": "None",
    "Failed": "Count",
}


def metrics(summary: dict[str, Any], namespace: str, now: datetime) -> dict[str, Any]:
    """The summary as a document of CloudWatch's embedded metric format."""
    values = {
        "Records": sum((summary.get("records") or {}).values()),
        "Requests": summary.get("requests", 0),
        "Bytes": summary.get("bytes", 0),
        "Seconds": summary["seconds"],
        "LagDays": summary.get("lag_days"),
        "Failed": int(summary["outcome"] != "succeeded"),
    }
    values = {name: value for name, value in values.items() if value is not None}
    definition = {
        "Namespace": namespace,
        "Dimensions": [["Account"]],
        "Metrics": [{"Name": name, "Unit": METRICS[name]} for name in values],
    }
    aws = {"Timestamp": int(now.timestamp() * 1000), "CloudWatchMetrics": [definition]}
    return {"_aws": aws, "Account": summary["account"], **values, "summary": summary}


def night(options: argparse.Namespace, aws: Aws, summary: dict[str, Any], folder: Path) -> int:
    """Everything up to the summary, which it fills. Returns the exit code."""
    if options.release:
        programs = folder / "release"
        programs.mkdir()
        fetch(aws, options.release.rstrip("/"), options.release_sha256, programs)
    else:
        programs = options.programs or Path(__file__).resolve().parent
    refuse_secrets(options.tap_settings)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("TAP_WISTIA_")}
    own = {key: value for key, value in os.environ.items() if key.startswith("TAP_WISTIA_")}
    if options.secret:
        own.update(secret_settings(options.secret, aws.secret(options.secret)))
    state, kept = folder / "state.json", aws.read(options.state)
    if kept is not None:
        state.write_bytes(kept)
    summary["first_night"] = kept is None
    summary["lag_days"] = lag_days(kept, today())
    tap_command, target_command = commands(options, programs, state)
    tap_environment = {key: value for key, value in inherited.items() if HANDED_TO_THE_TAP.fullmatch(key)}
    tap_environment.update(own)
    target_environment = {**inherited, "TARGET_S3_PARQUET_DESTINATION": options.destination}
    if options.region:
        target_environment["AWS_REGION"] = options.region
    if options.only == "check":
        return check(tap_command, target_command, tap_environment, target_environment, summary)
    tap, target = run_pipe(tap_command, target_command, tap_environment, target_environment)
    codes = {"tap": tap.wait(), "target": target.wait()}
    summary.update(
        exit_codes=codes,
        records=tap.summary.get("records", {}),
        requests=tap.summary.get("requests", 0),
        retries=tap.summary.get("retries", 0),
        bytes=sum(stream["bytes"] for stream in target.summary.get("streams", {}).values()),
        rows={stream["table"]: stream["rows"] for stream in target.summary.get("streams", {}).values()},
        catalog=target.summary.get("catalog", []),
        errors=errors({"tap": tap, "target": target}),
    )
    summary["lag_days"] = lag_days(aws.read(options.state), today())
    # When the target dies the tap does too, of the broken pipe: the cause comes first.
    return codes["target"] or codes["tap"]


def errors(programs: Mapping[str, Program]) -> dict[str, str]:
    """What those that failed said of it."""
    return {name: program.error.strip() for name, program in programs.items() if program.error}


def check(
    tap_command: Sequence[str],
    target_command: Sequence[str],
    tap_environment: Mapping[str, str],
    target_environment: Mapping[str, str],
    summary: dict[str, Any],
) -> int:
    """Tries what a night needs, and changes nothing: the programs start, the token reads, the settings are good,
    the target reaches the bucket."""
    tries = {
        "tap": ([*tap_command, "--test"], tap_environment),
        "target": ([*target_command, "--input", os.devnull], target_environment),
    }
    tried = {name: Program(command, env, stdout=sys.stderr) for name, (command, env) in tries.items()}
    codes = {name: program.wait() for name, program in tried.items()}
    summary["exit_codes"], summary["errors"] = codes, errors(tried)
    return codes["target"] or codes["tap"]


def main(argv: Sequence[str]) -> int:
    options = arguments(argv)
    aws, began, run = Aws(options.region), time.monotonic(), options.run or uuid.uuid4().hex[:12]
    summary = {
        "event": options.only or "night",
        "account": options.account,
        "run": run,
        "release": (options.release or "").rstrip("/").rpartition("/")[2] or None,
        "outcome": "failed",
    }
    code = 1
    try:
        with tempfile.TemporaryDirectory(prefix="night-") as folder:
            code = night(options, aws, summary, Path(folder))
    except (Failure, OSError) as error:
        summary["errors"] = {"night": str(error)}
        print(f"error: {error}", file=sys.stderr, flush=True)
    summary["outcome"] = "failed" if code else "succeeded"
    summary["seconds"] = round(time.monotonic() - began, 3)
    print(json.dumps(summary), flush=True)
    tell(options, aws, summary, run)
    return code


def tell(options: argparse.Namespace, aws: Aws, summary: dict[str, Any], run: str) -> None:
    """Gives the metrics away, or what a try found. That this fails does not make the night a failed one; the alarm
    hears the silence."""
    now = datetime.now(timezone.utc)
    document = {"check": summary} if options.only else metrics(summary, options.metrics_namespace, now)
    if not options.metrics_log_group:
        if not options.only:
            print(json.dumps(document), flush=True)
        return
    stream = f"check/{run}" if options.only else f"{options.account}/{now.strftime('%Y-%m-%dT%H-%M-%SZ')}-{run}"
    try:
        aws.log(options.metrics_log_group, stream, now, document)
    except (ClientError, BotoCoreError) as error:
        lost = "what this try found is" if options.only else "the metrics of this night are"
        print(f"warning: {lost} lost: {error}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    # Glue takes a SystemExit without an error for one as well.
    if code:
        sys.exit(code)

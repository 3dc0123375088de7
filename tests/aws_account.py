#!/usr/bin/env python3
"""The AWS server as an account to deploy into: beside its Glue, stacks that make what they name, roles
whose policies count, and jobs that run.

    aws_account.py --port 5000
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moto.core.responses import ActionResult
from moto.glue import models
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends

import aws_events
import aws_server
from aws_athena import Athena
from aws_policies import Gate
from aws_stacks import ACCOUNT, Api, Stacks

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


RESERVED = ("--conf", "--debug", "--mode", "--JOB_NAME")
"""Arguments that Glue uses itself, and its developer guide says never to set: no script is given them."""


class JobRun(models.FakeJobRun):
    """A run of a Python shell job: its script, with its arguments and the rights of its role."""

    __module__ = models.__name__

    url = ""
    state, message = "RUNNING", ""
    process: subprocess.Popen[str] | None = None

    @property
    def status(self) -> str:
        return self.state

    def as_dict(self) -> dict[str, Any]:
        described = {**super().as_dict(), "LogGroupName": "/aws-glue/python-jobs", "ExecutionTime": 1}
        if self.message:
            described["ErrorMessage"] = self.message
        return described

    def start(self, job: models.FakeJob) -> None:
        threading.Thread(target=self.run, args=(job,), daemon=True).start()

    def run(self, job: models.FakeJob) -> None:
        arguments = {**job.default_arguments, **(self.arguments or {})}
        # Glue's own argument, before what the job's definition says.
        location = arguments.pop("--scriptLocation", job.command["ScriptLocation"])
        bucket, _, key = location.removeprefix("s3://").partition("/")
        script = s3_backends[ACCOUNT]["aws"].buckets[bucket].keys.get(key)
        if script is None:
            self.end(1, "", f"{location} does not exist")
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "script.py"
            path.write_bytes(script.value)
            command = [os.environ.get("GLUE_PYTHON", sys.executable), str(path)]
            for name, value in arguments.items():
                if name.startswith("--") and name not in RESERVED:
                    command += [name, value]
            environment = {
                "PATH": os.environ["PATH"],
                "AWS_ENDPOINT_URL": self.url,
                "AWS_ACCESS_KEY_ID": f"role:{job.role.rpartition('/')[2]}",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_EC2_METADATA_DISABLED": "true",
                "TMPDIR": folder,
            }
            self.process = subprocess.Popen(
                command,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            if self.state == "STOPPING":
                self.stop()
            out, err = self.process.communicate()
        self.end(self.process.returncode, out, err)

    def stop(self) -> None:
        """Ends the run as the end of its machine would."""
        self.state = "STOPPING"
        if self.process:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def end(self, code: int, out: str, err: str) -> None:
        logs = Api(self.url, "glue").client("logs")
        for group, text in (("output", out), ("error", err)):
            name = f"/aws-glue/python-jobs/{group}"
            if not logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"]:
                logs.create_log_group(logGroupName=name)
            logs.create_log_stream(logGroupName=name, logStreamName=self.job_run_id)
            now = int(models.utcnow().timestamp() * 1000)
            events = [{"timestamp": now, "message": line} for line in text.splitlines() if line]
            if events:
                logs.put_log_events(logGroupName=name, logStreamName=self.job_run_id, logEvents=events)
        if code:
            self.message = f"Command failed with exit code {code}"
        state = "STOPPED" if self.state == "STOPPING" else "FAILED" if code else "SUCCEEDED"
        detail = {"jobName": self.job_name, "jobRunId": self.job_run_id, "state": state, "message": self.message}
        aws_events.tell("aws.glue", "Glue Job State Change", detail)
        # Last, so that who sees a run at its end finds all that came of it.
        self.state = state


class Jobs(aws_server.Glue):
    """Glue whose jobs run."""

    def start_job_run(self) -> ActionResult:
        job = self.glue_backend.get_job(self.parameters["JobName"])
        running = [run for run in job.get_job_runs() if run.state in ("RUNNING", "STOPPING")]
        if len(running) >= int((job.execution_property or {}).get("MaxConcurrentRuns", 1)):
            aws_server.fail("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {job.name}")
        answer = super().start_job_run()
        job.get_job_run(answer.result["JobRunId"]).start(job)
        return answer

    def batch_stop_job_run(self) -> ActionResult:
        name, errors = self.parameters["JobName"], list[dict[str, Any]]()
        stopped = list[dict[str, str]]()
        for number in self.parameters["JobRunIds"]:
            run = self.glue_backend.get_job_run(name, number)
            if run.state == "RUNNING":
                run.stop()
                stopped.append({"JobName": name, "JobRunId": number})
            else:
                detail = {"ErrorCode": "InvalidInputException", "ErrorMessage": f"The run is {run.state}"}
                errors.append({"JobName": name, "JobRunId": number, "ErrorDetail": detail})
        return ActionResult({"SuccessfulSubmissions": stopped, "Errors": errors})

    def get_tags(self) -> ActionResult:
        return ActionResult({"Tags": self.glue_backend.get_tags(self.parameters["ResourceArn"])})


def around(app: WSGIApplication, url: str) -> Gate:
    JobRun.url = url
    stacks = Stacks(app, url)
    return Gate(Athena(stacks, url), stacks)


if __name__ == "__main__":
    models.FakeJobRun = JobRun
    # moto's own look at the policies of buckets does not mind conditions; the gate has looked before.
    FakeBucket.get_permission = lambda *_: PermissionResult.NEUTRAL
    aws_server.main(glue=Jobs, around=around)

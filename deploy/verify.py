#!/usr/bin/env python3
"""Tries in a real AWS account what no test on a desk can: a check and a night in Glue, the types in the
catalog, the metrics, the alert, and Redshift where the lake has one.

    deploy/verify.py [--name LAKE] [ACCOUNT]

Run it once after the first deployment. It runs a night, stops a try, and sends one message to the alert
topic: two mails come, one of the try that was stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from deploy import CHECK, begin, end_of, night_of, run
from stacks import HERE, Aws, Failure

if TYPE_CHECKING:
    from mypy_boto3_redshift_data.type_defs import DescribeStatementResponseTypeDef

Found = TypeVar("Found")
PATIENCE = 300
"""Seconds until a metric is there, or a statement has ended."""
SCHEMAS = HERE.parent / "schemas"
TABLES = (
    "dim_media",
    "dim_visitors",
    "fact_engagements",
    "fact_engagements_byday",
    "fact_engagement_graph",
    "fact_events",
)


def hive(schema: dict[str, Any]) -> str:
    """The type that a JSON Schema promises in the catalog."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = [kind for kind in kinds if kind != "null"]
    if kind == "object":
        return "struct<" + ",".join(f"{name}:{hive(inner)}" for name, inner in schema["properties"].items()) + ">"
    if kind == "array":
        return f"array<{hive(schema['items'])}>"
    if kind == "integer":
        low, high = schema.get("minimum", -(2**63)), schema.get("maximum", 2**63)
        return "int" if low >= -(2**31) and high < 2**31 else "bigint"
    if kind == "string":
        return "date" if schema.get("format") == "date" else "string"
    return {"number": "double", "boolean": "boolean"}[kind]


def promised(table: str) -> dict[str, str]:
    schema = json.loads((SCHEMAS / f"{table}.json").read_text())
    return {name: hive(inner) for name, inner in schema["properties"].items()}


def databases(aws: Aws, account: str) -> dict[str, str]:
    """The database of each table: those whose schema marks a column as personal have one of their own."""
    stack = aws.account(account)
    is_personal = {table: "x-personal" in (SCHEMAS / f"{table}.json").read_text() for table in TABLES}
    outputs = {personal: stack.output("PersonalDatabase" if personal else "Database") for personal in (False, True)}
    return {table: outputs[personal] for table, personal in is_personal.items()}


def check(aws: Aws, account: str) -> None:
    """The job starts, its programs run in Glue's image, the token reads"""
    run(aws, account, CHECK)


def night(aws: Aws, account: str) -> None:
    """A night comes to its end"""
    run(aws, account, {})


def catalog(aws: Aws, account: str) -> None:
    """The catalog has the six tables with the types of the schemas, and those of viewers in a database of their own"""
    for table, database in databases(aws, account).items():
        found = aws.glue.get_table(DatabaseName=database, Name=table)["Table"]
        columns = {column["Name"]: column.get("Type") for column in found["StorageDescriptor"]["Columns"]}
        for name, kind in promised(table).items():
            if columns.get(name) != kind:
                raise Failure(f"{database}.{table}.{name} is {columns.get(name)} in the catalog, and should be {kind}")
        partitions = aws.glue.get_partitions(DatabaseName=database, TableName=table)["Partitions"]
        if found.get("PartitionKeys") and not partitions:
            raise Failure(f"{database}.{table} has no partitions: Redshift would find no rows in it")


def metrics(aws: Aws, account: str) -> None:
    """CloudWatch has the metrics of the night"""
    now = datetime.now(timezone.utc)
    until_true(
        lambda: aws.cloudwatch.get_metric_statistics(
            Namespace=aws.name,
            MetricName="LagDays",
            Dimensions=[{"Name": "Account", "Value": account}],
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(minutes=10),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"],
        f"no LagDays of {account} in the namespace {aws.name}; see the log group /{aws.name}/runs",
    )


def failure(aws: Aws, account: str) -> None:
    """EventBridge brings a failed night to the alert topic"""
    rule, began = f"{aws.name}-night-failed", datetime.now(timezone.utc).replace(second=0, microsecond=0)
    night = night_of(aws, account)
    job, number = night.job, begin(aws, night, CHECK)
    if number is None:
        return
    aws.glue.batch_stop_job_run(JobName=job, JobRunIds=[number])
    state, _ = end_of(aws, job, number)
    if state != "STOPPED":
        raise Failure(f"run {number} was to be stopped, and is {state}: nothing was tried")
    until_true(lambda: counted(aws, rule, "Invocations", began), f"the rule {rule} did not hear that {job} was stopped")
    # The other metric may come a moment later.
    time.sleep(min(patience(), 60))
    failed = counted(aws, rule, "FailedInvocations", began)
    if failed:
        raise Failure(
            f"{failed:.0f} FailedInvocations of the rule {rule}: the topic's policy must let events.amazonaws.com "
            "publish, without a condition"
        )


def counted(aws: Aws, rule: str, metric: str, since: datetime) -> float:
    """What EventBridge counted of a rule."""
    found = aws.cloudwatch.get_metric_statistics(
        Namespace="AWS/Events",
        MetricName=metric,
        Dimensions=[{"Name": "RuleName", "Value": rule}],
        StartTime=since,
        EndTime=datetime.now(timezone.utc) + timedelta(minutes=10),
        Period=60,
        Statistics=["Sum"],
    )
    return sum(point["Sum"] for point in found["Datapoints"])


def alert(aws: Aws, _account: str) -> None:
    """The alert topic takes a message: look whether it reached you"""
    topic = aws.lake.output("AlertTopic")
    if not aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        raise Failure(f"nobody listens to {topic}: deploy.py lake -p AlertEmail=…")
    aws.sns.publish(TopicArn=topic, Subject="Test of the alerts", Message="Sent by make verify-aws. All is well.")


def redshift(aws: Aws, account: str) -> str | None:
    """Redshift reads the tables (the query that was proven nowhere else)"""
    if aws.lake.parameters()["Redshift"] != "serverless":
        return "skipped: the lake has no Redshift Serverless"
    region, role = aws.glue.meta.region_name, aws.lake.output("RedshiftRole")
    for database in sorted(set(databases(aws, account).values())):
        source = f"data catalog database '{database}' region '{region}' iam_role '{role}'"
        ask(aws, f"create external schema if not exists {database} from {source}")
    for table, database in databases(aws, account).items():
        ask(aws, f"select count(*) from {database}.{table}")
    return None


def ask(aws: Aws, sql: str) -> None:
    data = aws.redshift
    number = data.execute_statement(WorkgroupName=aws.name, Database="dev", Sql=sql)["Id"]
    done = until_true(lambda: ended(data.describe_statement(Id=number)), f"still running: {sql}")
    if done["Status"] != "FINISHED":
        raise Failure(f"{sql}: {done.get('Error', done['Status'])}")


def ended(statement: DescribeStatementResponseTypeDef) -> DescribeStatementResponseTypeDef | None:
    return statement if statement["Status"] in ("FINISHED", "FAILED", "ABORTED") else None


def patience() -> float:
    return float(os.environ.get("VERIFY_PATIENCE", PATIENCE))


def until_true(look: Callable[[], Found | None], complaint: str) -> Found:
    until = time.monotonic() + patience()
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise Failure(complaint)
        time.sleep(5)


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="wistia-lake", help="name of the lake (default: wistia-lake)")
    parser.add_argument("account", nargs="?", default="wistia", help="name of the Wistia account (default: wistia)")
    options = parser.parse_args(argv)
    aws, failed = Aws(options.name, dry_run=False), 0
    steps: list[Callable[[Aws, str], str | None]] = [check, night, catalog, metrics, failure, alert, redshift]
    for step in steps:
        try:
            skipped = step(aws, options.account)
            print(f"-       {step.__doc__}: {skipped}" if skipped else f"ok      {step.__doc__}", flush=True)
        except (Failure, ClientError, BotoCoreError) as error:
            failed += 1
            print(f"FAILED  {step.__doc__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

#!/usr/bin/env python3
"""Tries in a real AWS account what no test on a desk can: a check and a night in Glue, the types in the
catalog, the metrics, the alert, and Redshift where the lake has one.

    deploy/verify.py [--name LAKE] [ACCOUNT]

Run it once after the first deployment. It runs a night, and sends one message to the alert topic.
"""

import argparse
import json
import os
import sys
import time
from datetime import datetime, timedelta, timezone

from botocore.exceptions import BotoCoreError, ClientError
from deploy import HERE, Aws, Failure, run

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


def hive(schema):
    """The type that a JSON Schema promises in the catalog."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    (kind,) = [kind for kind in kinds if kind != "null"]
    if kind == "object":
        return "struct<" + ",".join(f"{name}:{hive(inner)}" for name, inner in schema["properties"].items()) + ">"
    if kind == "array":
        return f"array<{hive(schema['items'])}>"
    if kind == "integer":
        return (
            "int" if -(2**31) <= schema.get("minimum", -(2**63)) and schema.get("maximum", 2**63) < 2**31 else "bigint"
        )
    if kind == "string":
        return "date" if schema.get("format") == "date" else "string"
    return {"number": "double", "boolean": "boolean"}[kind]


def promised(table):
    schema = json.loads((SCHEMAS / f"{table}.json").read_text())
    return {name: hive(inner) for name, inner in schema["properties"].items()}


def check(aws, account):
    """The job starts, its programs run in Glue's image, the token reads"""
    run(aws, account, "check")


def night(aws, account):
    """A night comes to its end"""
    run(aws, account, "sync")


def catalog(aws, account):
    """The catalog has the six tables with the types of the schemas"""
    database = aws.account(account).output("Database")
    for table in TABLES:
        found = aws.client("glue").get_table(DatabaseName=database, Name=table)["Table"]
        columns = {column["Name"]: column["Type"] for column in found["StorageDescriptor"]["Columns"]}
        for name, kind in promised(table).items():
            if columns.get(name) != kind:
                raise Failure(f"{database}.{table}.{name} is {columns.get(name)} in the catalog, and should be {kind}")
        if (
            found.get("PartitionKeys")
            and not aws.client("glue").get_partitions(DatabaseName=database, TableName=table)["Partitions"]
        ):
            raise Failure(f"{database}.{table} has no partitions: Redshift would find no rows in it")


def metrics(aws, account):
    """CloudWatch has the metrics of the night"""
    now = datetime.now(timezone.utc)
    question = {
        "Namespace": aws.name,
        "MetricName": "LagDays",
        "Dimensions": [{"Name": "Account", "Value": account}],
        "StartTime": now - timedelta(hours=1),
        "EndTime": now + timedelta(minutes=10),
        "Period": 60,
        "Statistics": ["Maximum"],
    }
    until_true(
        lambda: aws.client("cloudwatch").get_metric_statistics(**question)["Datapoints"],
        f"no LagDays of {account} in the namespace {aws.name}; see the log group /{aws.name}/runs",
    )


def alert(aws, _account):
    """The alert topic takes a message: look whether it reached you"""
    topic = aws.lake().output("AlertTopic")
    if not aws.client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]:
        raise Failure(f"nobody listens to {topic}: deploy.py lake -p AlertEmail=…")
    aws.client("sns").publish(
        TopicArn=topic, Subject="Test of the alerts", Message="Sent by make verify-aws. All is well."
    )


def redshift(aws, account):
    """Redshift reads the tables (the query that was proven nowhere else)"""
    if aws.lake().parameters()["Redshift"] != "serverless":
        return "skipped: the lake has no Redshift Serverless"
    database, role = aws.account(account).output("Database"), aws.lake().output("RedshiftRole")
    region = aws.client("glue").meta.region_name
    ask(
        aws,
        f"create external schema if not exists {database} from data catalog database '{database}' region '{region}' iam_role '{role}'",
    )
    for table in TABLES:
        ask(aws, f"select count(*) from {database}.{table}")
    return None


def ask(aws, sql):
    data = aws.client("redshift-data")
    number = data.execute_statement(WorkgroupName=aws.name, Database="dev", Sql=sql)["Id"]
    done = until_true(lambda: ended(data.describe_statement(Id=number)), f"still running: {sql}")
    if done["Status"] != "FINISHED":
        raise Failure(f"{sql}: {done.get('Error', done['Status'])}")


def ended(statement):
    return statement if statement["Status"] in ("FINISHED", "FAILED", "ABORTED") else None


def until_true(look, complaint):
    until = time.monotonic() + float(os.environ.get("VERIFY_PATIENCE", PATIENCE))
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > until:
            raise Failure(complaint)
        time.sleep(5)


def main(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", default="wistia-lake", help="name of the lake (default: wistia-lake)")
    parser.add_argument("account", nargs="?", default="wistia", help="name of the Wistia account (default: wistia)")
    options = parser.parse_args(argv)
    aws, failed = Aws(options.name, dry_run=False), 0
    for step in (check, night, catalog, metrics, alert, redshift):
        try:
            print(
                f"ok      {step.__doc__}"
                if not (why := step(aws, options.account))
                else f"-       {step.__doc__}: {why}",
                flush=True,
            )
        except (Failure, ClientError, BotoCoreError) as error:
            failed += 1
            print(f"FAILED  {step.__doc__}: {error}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

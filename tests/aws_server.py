#!/usr/bin/env python3
"""An AWS to test against: moto, with the Glue that a lake depends on in the place of moto's own.

    aws_server.py --port 5000

moto answers for the other services. What it makes too easy, or has not, is here:

- every Glue request is checked against the limits of the API's own model (botocore's): lengths,
  patterns, how many items a batch may have;
- UpdateTable minds VersionId, SkipArchive keeps no old version, GetPartitions has pages,
  BatchGetPartition leaves keys over;
- a crawler crawls: it lists at its start, reads the Parquet footers, and writes tables and partitions
  at its end as its policies say. It goes RUNNING, STOPPING, READY, and its last crawl SUCCEEDED,
  FAILED or was CANCELLED;
- the end of a multipart upload minds If-Match, and that somebody aborted it; open uploads have the dates they
  began at;
- UpdateJob, UpdateTrigger and UpdateCrawler exist, so that a deployment can run twice.

Tests steer it at `/_control`:

    GET, DELETE requests                                  what was asked, in order; forget it
    POST, DELETE faults    {action, code, message, …}     answers an action by an error; heal
                           {action, hold}                 keeps an action waiting until healed
                           {action, item, code, …}        refuses the partition of that value
                           {action, code, done, …}        does the action, and answers by the error
    POST uploads           {hours}                        makes all open uploads so much older
    POST objects           {bucket, key, hours}           makes an object so much older
    POST, DELETE crawls    {name, seconds, hold, fail}    how the next crawls of a crawler go; as usual
"""

from __future__ import annotations

import argparse
import datetime
import fnmatch
import io
import json
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, cast

import botocore.session
import pyarrow as pa
import pyarrow.parquet as pq
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult, EmptyResult
from moto.glue import models, responses, urls
from moto.glue.utils import Action, Predicate
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.s3.exceptions import MissingKey, NoSuchUpload, PreconditionFailed
from moto.s3.models import s3_backends
from moto.s3.responses import S3Response
from werkzeug.serving import run_simple

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from botocore.model import ListShape, MapShape, ServiceModel, Shape, StructureShape

Json = dict[str, Any]
"""An object of a request or an answer."""

PAGE = 100
"""Partitions of a page. Glue's own size is not documented; a client must not count on one."""

KEYS_AT_ONCE = 400
"""Keys that BatchGetPartition takes of those that it is given; it may leave any over."""

CRAWL_SECONDS = 0.2

PARQUET = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "Compressed": False,
    "NumberOfBuckets": -1,
    "StoredAsSubDirectories": False,
    "SerdeInfo": {
        "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
        "Parameters": {"serialization.format": "1"},
    },
}


class Control:
    """The tests' hand on the server, in front of moto."""

    faults: ClassVar[list[Json]] = []

    def __init__(self, app: WSGIApplication) -> None:
        self.app, self.lock = app, threading.Lock()
        self.requests: list[Json] = []
        self.model = api()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        if path.startswith("/_control/"):
            body = json.loads(environ["wsgi.input"].read(length) or "{}") if length else {}
            return self.steer(path.removeprefix("/_control/"), method, body, start_response)
        service, _, action = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")
        request: Json = {"action": action or method, "path": path, "headers": headers_of(environ)}
        if service == "AWSGlue":
            body = environ["wsgi.input"].read(length)
            environ["wsgi.input"] = io.BytesIO(body)
            request["body"] = json.loads(body or "{}")
        with self.lock:
            self.requests.append(request)
        fault = self.fault(action) if action else None
        while fault and fault.get("hold") and fault in self.faults:
            time.sleep(0.02)
        fault = None if fault and fault.get("hold") else fault
        if not fault and service == "AWSGlue":
            fault = self.invalid(action, request["body"])
        if fault and fault.get("done"):
            # The request is done, and its answer is lost.
            list(self.app(environ, lambda *_: None))  # type: ignore[arg-type]
        if fault:
            return answer(
                start_response, {"__type": fault["code"], "message": fault["message"]}, fault.get("status", 400)
            )
        return self.app(environ, start_response)

    def steer(self, what: str, method: str, body: Json, start_response: StartResponse) -> list[bytes]:
        with self.lock:
            match what, method:
                case "requests", "GET":
                    return answer(start_response, self.requests)
                case "requests", "DELETE":
                    self.requests.clear()
                case "faults", "POST":
                    self.faults.append({"times": 1, "message": "A fault of the test.", **body})
                case "faults", "DELETE":
                    self.faults.clear()
                case "uploads", "POST":
                    for upload in BEGUN:
                        BEGUN[upload] -= datetime.timedelta(hours=body["hours"])
                case "objects", "POST":
                    found = s3_backends["123456789012"]["aws"].get_object(body["bucket"], body["key"])
                    found.last_modified -= datetime.timedelta(hours=body["hours"])
                case "crawls", "DELETE":
                    Crawler.plans.clear()
                case "crawls", "POST":
                    Crawler.plans[body.pop("name")].update(body)
                case _:
                    return answer(start_response, {"message": f"{method} {what} is unknown"}, 404)
        return answer(start_response, {})

    def fault(self, action: str) -> Json | None:
        with self.lock:
            for fault in self.faults:
                if fault["action"] == action and fault["times"] != 0 and "item" not in fault:
                    fault["times"] -= 1
                    return fault
        return None

    def invalid(self, action: str, body: Json) -> Json | None:
        """What the API's model has against a request."""
        if action not in self.model.operation_names:
            return {"code": "UnknownOperationException", "message": action}
        shape = self.model.operation_model(action).input_shape
        found = next(violations(shape, body, action), None) if shape else None
        if found is None:
            return None
        return {"code": "ValidationException", "message": f"1 validation error detected: {found}"}


def headers_of(environ: WSGIEnvironment) -> dict[str, str | None]:
    """What a request says to AWS beside its body, and whose credentials it is signed with."""
    found = {
        key[5:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_X_AMZ_")
    }
    signed = re.search("Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return {**found, "access-key-id": signed[1] if signed else None}


def answer(start_response: StartResponse, body: object, status: int = 200) -> list[bytes]:
    text = json.dumps(body).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(text)))]
    start_response(f"{status} -", headers)
    return [text]


def violations(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """Where a value breaks the limits of its shape."""
    if shape.type_name == "structure":
        structure = cast("StructureShape", shape)
        for name in structure.required_members:
            if value.get(name) is None:
                yield f"{path}.{name} is missing"
        for name, inner in value.items():
            if name in structure.members and inner is not None:
                yield from violations(structure.members[name], inner, f"{path}.{name}")
        return
    size = (
        value if shape.type_name in ("integer", "long", "double") else len(value) if hasattr(value, "__len__") else None
    )
    limits = shape.metadata
    if size is not None and not limits.get("min", size) <= size <= limits.get("max", size):
        yield f"{path} is {size}, beyond {limits}"
    if shape.type_name == "list":
        for number, inner in enumerate(value):
            yield from violations(cast("ListShape", shape).member, inner, f"{path}.{number}")
    elif shape.type_name == "map":
        for key, inner in value.items():
            yield from violations(cast("MapShape", shape).key, key, f"{path}.key")
            yield from violations(cast("MapShape", shape).value, inner, f"{path}.{key}")
    elif shape.type_name == "string":
        # Java's surrogate pairs are Python's upper planes.
        pattern = limits.get("pattern", "").replace(r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff")
        if pattern and not re.fullmatch(pattern, value):
            yield f"{path} does not match {pattern}"
        if limits.get("enum") and value not in limits["enum"]:
            yield f"{path} is {value}, none of {limits['enum']}"


def fail(code: str, message: str) -> NoReturn:
    raise JsonRESTError(code, message)


# Types


def hive(kind: pa.DataType) -> str:
    """The type that a crawler gives to a Parquet column."""
    plain = {
        pa.int8(): "tinyint",
        pa.int16(): "smallint",
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float32(): "float",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.string(): "string",
        pa.large_string(): "string",
        pa.date32(): "date",
    }
    if kind in plain:
        return plain[kind]
    if pa.types.is_timestamp(kind):
        return "timestamp"
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if pa.types.is_list(kind):
        return f"array<{hive(kind.value_type)}>"
    if pa.types.is_struct(kind):
        return "struct<" + ",".join(f"{field.name.lower()}:{hive(field.type)}" for field in kind) + ">"
    return "binary"


def columns(schema: pa.Schema) -> list[dict[str, str]]:
    return [{"Name": field.name.lower(), "Type": hive(field.type)} for field in schema]


# Operations


class Glue(responses.GlueResponse):
    """The operations that moto has not, or in another way than Glue."""

    lock = threading.RLock()
    body: str

    def create_table(self) -> EmptyResult:
        asked = self.parameters["TableInput"]
        names = [column["Name"].lower() for column in asked.get("StorageDescriptor", {}).get("Columns", [])]
        names += [key["Name"].lower() for key in asked.get("PartitionKeys", [])]
        if len(set(names)) < len(names):
            fail("InvalidInputException", "Duplicate column name in the table")
        asked["Name"] = asked["Name"].lower()
        with self.lock:
            self.glue_backend.create_table(self.parameters["DatabaseName"], asked["Name"], asked)
        return EmptyResult()

    def update_table(self) -> EmptyResult:
        asked = self.parameters
        with self.lock:
            table = self.glue_backend.get_table(asked["DatabaseName"], asked["TableInput"]["Name"].lower())
            current = table._current_version
            if asked.get("VersionId") not in (None, str(current)):
                fail("ConcurrentModificationException", "Update table failed due to concurrent modifications.")
            table.update(asked["TableInput"])
            if asked.get("SkipArchive"):
                table.versions.pop(str(current), None)
        return EmptyResult()

    def batch_create_partition(self) -> ActionResult:
        self.check_values([item["Values"] for item in self.parameters["PartitionInputList"]])
        with self.lock:
            return self.but_for_refused("PartitionInputList", super().batch_create_partition)

    def batch_update_partition(self) -> ActionResult:
        self.check_values([item["PartitionInput"]["Values"] for item in self.parameters["Entries"]])
        with self.lock:
            return super().batch_update_partition()

    def but_for_refused(self, key: str, operation: Callable[[], ActionResult]) -> ActionResult:
        """A batch answers 200 also where single items of it are refused."""
        asked = json.loads(self.body)
        faults = {fault["item"]: fault for fault in Control.faults if "item" in fault}
        refused = [item for item in asked[key] if item["Values"][0] in faults]
        self.body = json.dumps({**asked, key: [item for item in asked[key] if item not in refused]})
        errors = operation().result.get("Errors", [])
        for item in refused:
            fault = faults[item["Values"][0]]
            detail = {"ErrorCode": fault["code"], "ErrorMessage": fault["message"]}
            errors.append({"PartitionValues": item["Values"], "ErrorDetail": detail})
        return ActionResult({"Errors": errors})

    def check_values(self, values: list[list[str]]) -> None:
        table = self.glue_backend.get_table(self.parameters["DatabaseName"], self.parameters["TableName"])
        keys = table.as_dict().get("PartitionKeys", [])
        if any(len(value) != len(keys) for value in values):
            fail("InvalidInputException", "The number of partition keys do not match the number of partition values")

    def batch_get_partition(self) -> ActionResult:
        asked = self.parameters
        keys = asked["PartitionsToGet"]
        found = self.glue_backend.batch_get_partition(asked["DatabaseName"], asked["TableName"], keys[:KEYS_AT_ONCE])
        return ActionResult({"Partitions": found, "UnprocessedKeys": keys[KEYS_AT_ONCE:]})

    def get_partitions(self) -> ActionResult:
        asked = self.parameters
        found = self.glue_backend.get_partitions(asked["DatabaseName"], asked["TableName"], asked.get("Expression"))
        start, size = int(asked.get("NextToken") or 0), min(PAGE, asked.get("MaxResults") or PAGE)
        answer: Json = {"Partitions": [partition.as_dict() for partition in found[start : start + size]]}
        if asked.get("ExcludeColumnSchema"):
            answer["Partitions"] = [without_columns(partition) for partition in answer["Partitions"]]
        if start + size < len(found):
            answer["NextToken"] = str(start + size)
        return ActionResult(answer)

    # Deployments

    def create_crawler(self) -> ActionResult:
        check_targets(self.parameters)
        return super().create_crawler()

    def update_crawler(self) -> EmptyResult:
        crawler = self.glue_backend.get_crawler(self.parameters["Name"])
        check_targets({**crawler.as_dict(), **self.parameters})
        if crawler.status != "READY":
            raise models.CrawlerRunningException(f"Crawler {crawler.name} is running")
        assign(crawler, {key: value for key, value in self.parameters.items() if key != "Name"})
        crawler.version += 1
        return EmptyResult()

    def update_job(self) -> ActionResult:
        """The whole definition is replaced: what is not given falls back to nothing."""
        job = self.glue_backend.get_job(self.parameters["JobName"])
        names = cast("StructureShape", api().shape_for("JobUpdate")).members
        given = self.parameters["JobUpdate"]
        empty: Json = {"DefaultArguments": {}, "ExecutionProperty": {}, "ExecutionClass": "STANDARD"}
        assign(job, {name: given.get(name, empty.get(name)) for name in names})
        job.last_modified_on = models.utcnow()
        return ActionResult({"JobName": job.name})

    def update_trigger(self) -> ActionResult:
        trigger = self.glue_backend.get_trigger(self.parameters["Name"])
        given = {**self.parameters["TriggerUpdate"]}
        if "Actions" in given:
            given["Actions"] = [Action(action) for action in given["Actions"]]
        if "Predicate" in given:
            given["Predicate"] = Predicate(given["Predicate"])
        assign(trigger, given)
        return ActionResult({"Trigger": trigger.as_dict()})


def api() -> ServiceModel:
    """The API's own model."""
    return botocore.session.get_session().get_service_model("glue")


def without_columns(partition: Json) -> Json:
    descriptor = {key: value for key, value in partition.get("StorageDescriptor", {}).items() if key != "Columns"}
    return {**partition, "StorageDescriptor": descriptor}


def assign(thing: object, values: Mapping[str, object]) -> None:
    for name, value in values.items():
        attribute = re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
        if hasattr(thing, attribute):
            setattr(thing, attribute, value)


def check_targets(crawler: Json) -> None:
    policy = crawler.get("SchemaChangePolicy") or {}
    if (crawler.get("Targets") or {}).get("CatalogTargets") and policy.get("DeleteBehavior") != "LOG":
        fail("InvalidInputException", "The SchemaChangePolicy for a catalog target must have the delete behavior LOG")
    recrawl = (crawler.get("RecrawlPolicy") or {}).get("RecrawlBehavior", "CRAWL_EVERYTHING")
    behaviors = {policy.get("UpdateBehavior"), policy.get("DeleteBehavior")}
    if recrawl == "CRAWL_NEW_FOLDERS_ONLY" and behaviors != {"LOG"}:
        fail("InvalidInputException", "The SchemaChangePolicy for CRAWL_NEW_FOLDERS_ONLY can have only LOG behavior")
    if recrawl != "CRAWL_EVERYTHING" and "TableGroupingPolicy" in (crawler.get("Configuration") or ""):
        fail("InvalidInputException", "CombineCompatibleSchemas is only for CRAWL_EVERYTHING")


# Crawls


class Crawler(models.FakeCrawler):
    """A crawler that crawls."""

    # moto files its models by the module they are in.
    __module__ = models.__name__

    plans: ClassVar[defaultdict[str, Json]] = defaultdict(dict)
    """What the tests want of the next crawls, by name: `seconds`, `hold`, `fail`."""

    phase = "READY"
    last: Json | None = None
    cancelled = False

    @property
    def status(self) -> str:
        return self.phase

    def as_dict(self) -> Json:
        described: Json = super().as_dict()
        if self.last:
            described["LastCrawl"] = self.last
        return described

    def start_crawler(self) -> None:
        with Glue.lock:
            if self.phase != "READY":
                raise models.CrawlerRunningException(f"Crawler with name {self.name} has already started")
            self.phase, self.cancelled = "RUNNING", False
        threading.Thread(target=self.crawl, daemon=True).start()

    def stop_crawler(self) -> None:
        if self.phase == "READY":
            raise models.CrawlerNotRunningException(f"Crawler with name {self.name} isn't running")
        if self.phase == "STOPPING":
            fail("CrawlerStoppingException", f"Crawler with name {self.name} is stopping")
        self.phase, self.cancelled = "STOPPING", True

    def crawl(self) -> None:
        started = datetime.datetime.now(datetime.UTC)
        outcome = {"Status": "SUCCEEDED"}
        try:
            found = [Found(self, target) for target in self.targets.get("S3Targets", [])]
            plan = dict(self.plans[self.name])
            time.sleep(plan.get("seconds", CRAWL_SECONDS))
            while self.plans[self.name].get("hold") and not self.cancelled:
                time.sleep(0.02)
            if self.cancelled:
                outcome = {"Status": "CANCELLED"}
            elif plan.get("fail"):
                raise RuntimeError(plan["fail"])
            else:
                self.phase = "STOPPING"
                with Glue.lock:
                    for target in found:
                        target.register()
                    for target in self.targets.get("CatalogTargets", []):
                        self.crawl_tables(target)
        except Exception as error:
            outcome = {"Status": "FAILED", "ErrorMessage": str(getattr(error, "message", error))}
        self.phase = "STOPPING"
        self.last = {
            **outcome,
            "LogGroup": "/aws-glue/crawlers",
            "LogStream": self.name,
            "MessagePrefix": f"{started:%Y%m%d%H%M%S%f}",
            "StartTime": started,
        }
        self.phase = "READY"

    def crawl_tables(self, target: Json) -> None:
        """A catalog target: its tables are there; their partitions are added."""
        for name in target["Tables"]:
            table = self.backend.get_table(target["DatabaseName"], name)
            path = table.as_dict()["StorageDescriptor"]["Location"]
            for group in Found(self, {"Path": path}).tables.values():
                self.add_partitions(table, group)

    def add_partitions(self, table: models.FakeTable, group: Group) -> None:
        described = table.as_dict()
        if not described.get("PartitionKeys"):
            return
        inherits = self.option("Partitions") == "InheritFromTable"
        for values, schema in group.partitions.items():
            own = described["StorageDescriptor"]["Columns"] if inherits else columns(schema)
            location = group.locations[values]
            descriptor = {**described["StorageDescriptor"], "Columns": own, "Location": location}
            made = {"Values": list(values), "StorageDescriptor": descriptor, "Parameters": group.parameters}
            if str(list(values)) not in table.partitions:
                table.create_partition(made)
            elif self.updates():
                table.update_partition(list(values), made)
        for key, partition in list(table.partitions.items()):
            if tuple(partition.values) not in group.partitions:
                match (self.schema_change_policy or {}).get("DeleteBehavior", "DEPRECATE_IN_DATABASE"):
                    case "DELETE_FROM_DATABASE":
                        del table.partitions[key]
                    case "DEPRECATE_IN_DATABASE":
                        partition.partition_input.setdefault("Parameters", {})["DEPRECATED_BY_CRAWLER"] = self.name

    def updates(self) -> bool:
        new_folders_only = (self.recrawl_policy or {}).get("RecrawlBehavior") == "CRAWL_NEW_FOLDERS_ONLY"
        policy = (self.schema_change_policy or {}).get("UpdateBehavior", "UPDATE_IN_DATABASE")
        return policy == "UPDATE_IN_DATABASE" and not new_folders_only

    def option(self, output: str) -> str | None:
        options = json.loads(self.configuration or "{}")
        behavior: str | None = options.get("CrawlerOutput", {}).get(output, {}).get("AddOrUpdateBehavior")
        return behavior


@dataclass
class Group:
    """The folders that become one table."""

    location: str
    keys: list[str] | None = None
    schema: pa.Schema | None = None
    partitions: dict[tuple[str, ...], pa.Schema] = field(default_factory=dict)
    """The schema of each partition, by its values."""
    locations: dict[tuple[str, ...], str] = field(default_factory=dict)
    codec: str = "none"
    rows: int = 0
    size: int = 0
    count: int = 0

    def add(self, folders: list[str], location: str, file: pq.ParquetFile, size: int) -> None:
        """A file in these folders below the table's. Folders with other keys than the first are left out."""
        pairs = []
        for number, part in enumerate(folders):
            key, equals, value = part.partition("=")
            pairs.append((key, value) if equals else (f"partition_{number}", part))
        keys = [key.lower() for key, _ in pairs]
        if self.keys is None:
            self.keys = keys
        if keys != self.keys:
            return
        own = file.schema_arrow
        self.schema = merged(self.schema, own)
        values = tuple(unescape(value) for _, value in pairs)
        self.partitions[values] = merged(self.partitions.get(values), own)
        self.locations[values] = location
        meta = file.metadata
        if meta.num_row_groups and meta.num_columns:
            self.codec = meta.row_group(0).column(0).compression.lower().replace("uncompressed", "none")
        self.rows, self.size, self.count = self.rows + meta.num_rows, self.size + size, self.count + 1

    @property
    def parameters(self) -> dict[str, str]:
        return {
            "classification": "parquet",
            "compressionType": self.codec,
            "typeOfData": "file",
            "objectCount": str(self.count),
            "recordCount": str(self.rows),
            "sizeKey": str(self.size),
        }


def merged(old: pa.Schema | None, new: pa.Schema) -> pa.Schema:
    """Schemas that Parquet holds apart make a crawl fail here; Glue makes tables of its own of them."""
    return new if old is None else pa.unify_schemas([old, new], promote_options="permissive")


def unescape(value: str) -> str:
    return re.sub("%([0-9A-Fa-f]{2})+", lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), value)


class Found:
    """What a crawler finds below one path."""

    def __init__(self, crawler: Crawler, target: Json) -> None:
        self.crawler = crawler
        self.tables: dict[str, Group] = {}
        path = target["Path"].removeprefix("s3://").rstrip("/")
        bucket, _, prefix = path.partition("/")
        store = s3_backends[crawler.backend.account_id]["aws"].buckets
        if bucket not in store:
            raise RuntimeError(f"The specified bucket does not exist: {bucket}")
        prefix = f"{prefix}/" if prefix else ""
        grouping = json.loads(crawler.configuration or "{}").get("Grouping", {})
        depth = grouping.get("TableLevelConfiguration", prefix.count("/") + 1) - 1 - prefix.count("/")
        for key, stored in sorted(store[bucket].keys.items()):
            below = key[len(prefix) :]
            if not key.startswith(prefix) or not stored.size or excluded(below, target.get("Exclusions", [])):
                continue
            *folders, _ = below.split("/")
            folders, rest = folders[:depth], folders[depth:]
            root = "/".join([bucket, prefix.rstrip("/"), *folders]).rstrip("/")
            group = self.tables.setdefault(root, Group(f"s3://{root}/"))
            try:
                file = pq.ParquetFile(io.BytesIO(stored.value))
            except pa.ArrowInvalid as error:
                raise RuntimeError(f"s3://{bucket}/{key} is no Parquet: {error}") from error
            group.add(rest, "/".join([f"s3://{root}", *rest, ""]), file, stored.size)

    def register(self) -> None:
        crawler = self.crawler
        for root, group in self.tables.items():
            name = (crawler.table_prefix or "") + re.sub("[^a-z0-9_]", "_", root.rsplit("/", 1)[-1].lower())
            database = crawler.backend.get_database(crawler.database_name)
            parameters = {
                **group.parameters,
                "CrawlerSchemaDeserializerVersion": "1.0",
                "CrawlerSchemaSerializerVersion": "1.0",
                "UPDATED_BY_CRAWLER": crawler.name,
            }
            described = {
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": parameters,
                "PartitionKeys": [{"Name": key, "Type": "string"} for key in group.keys or []],
                "StorageDescriptor": {**PARQUET, "Columns": columns(group.schema), "Location": group.location},
            }
            if name not in database.tables:
                crawler.backend.create_table(crawler.database_name, name, described)
            elif crawler.updates():
                self.update(database.tables[name], described)
            crawler.add_partitions(database.tables[name], group)

    def update(self, table: models.FakeTable, described: Json) -> None:
        old = table.as_dict()
        if self.crawler.option("Tables") == "MergeNewColumns":
            known = old["StorageDescriptor"]["Columns"]
            names = {column["Name"] for column in known}
            new = [column for column in described["StorageDescriptor"]["Columns"] if column["Name"] not in names]
            described["StorageDescriptor"]["Columns"] = known + new
            described["Parameters"] = {**old.get("Parameters", {}), **described["Parameters"]}
        if any(old.get(key) != described[key] for key in ("Parameters", "PartitionKeys", "StorageDescriptor")):
            table.update(described)


def excluded(path: str, patterns: list[str]) -> bool:
    """Glue's globs: `*` stays in a folder, `**` does not; a folder that is excluded takes what is in it along."""
    parts = path.split("/")
    paths = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    return any(matches(candidate, pattern) for pattern in patterns for candidate in paths)


def matches(path: str, pattern: str) -> bool:
    pieces = []
    for piece in re.split(r"(\*\*/|\*\*|\*)", pattern):
        match piece:
            case "**/":
                pieces.append("(?:.*/)?")
            case "**":
                pieces.append(".*")
            case "*":
                pieces.append("[^/]*")
            case _:
                pieces.append(fnmatch.translate(piece).removesuffix(r"\Z").removesuffix(")").removeprefix("(?s:"))
    return re.fullmatch("".join(pieces), path) is not None


class Uploads(S3Response):
    """The multipart uploads of S3, in what moto makes too easy of them: conditions, ids and dates."""

    def _key_response_post(
        self, request: Any, body: bytes, bucket_name: str, query: dict[str, Any], key_name: str
    ) -> Any:
        expected, ended = self.headers.get("If-Match"), query.get("uploadId")
        if ended:
            there = self.backend.get_object(bucket_name, key_name)
            is_done = there and there.multipart and there.multipart.id == ended[0]
            if not is_done and ended[0] not in self.backend.get_bucket(bucket_name).multiparts:
                raise NoSuchUpload(upload_id=ended[0])
            if expected and there is None:
                raise MissingKey
            if expected and there and not is_done and there.etag != expected:
                raise PreconditionFailed("If-Match")
        return END_OF_UPLOAD(self, request, body, bucket_name, query, key_name)

    def serialized(self, action_result: ActionResult) -> Any:
        """Says of each open upload when it began; moto says 2010 of all, and they seem left behind by the dead."""
        result, now = action_result.result, datetime.datetime.now(datetime.UTC)
        if isinstance(result, dict) and "UploadId" in result:
            BEGUN.setdefault(result["UploadId"], now)
        if isinstance(result, dict):
            for upload in result.get("Uploads", []):
                upload["Initiated"] = BEGUN.setdefault(upload["UploadId"], now)
        return SERIALIZED(self, action_result)


END_OF_UPLOAD, SERIALIZED = S3Response._key_response_post, S3Response.serialized

BEGUN: dict[str, datetime.datetime] = {}
"""When each upload began."""


def main(
    glue: type[Glue] = Glue, around: Callable[[WSGIApplication, str], WSGIApplication] = lambda app, _url: app
) -> None:
    """Serves, with this Glue and with that application around it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-H", "--host", default="127.0.0.1")
    parser.add_argument("-p", "--port", type=int, default=5000)
    arguments = parser.parse_args()
    urls.url_paths = dict.fromkeys(urls.url_paths, glue.dispatch)
    models.FakeCrawler = Crawler
    S3Response._key_response_post, S3Response.serialized = Uploads._key_response_post, Uploads.serialized
    app = DomainDispatcherApplication(create_backend_app)
    served = around(Control(app), f"http://{arguments.host}:{arguments.port}")
    run_simple(arguments.host, arguments.port, served, threaded=True, request_handler=MotoRequestHandler)


if __name__ == "__main__":
    main()

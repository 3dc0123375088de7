"""Athena for the AWS server: it answers nothing, and makes the tables and views that it is told to make.

As Athena does, it makes them with the rights of who asks: in the catalog by Glue, and in the bucket by S3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws_stacks import Api, access_key

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

NAME = r"""(?:["`]?[\w-]+["`]?\.)?["`]?([\w-]+)["`]?\.["`]?([\w-]+)["`]?"""
MADE = re.compile(
    rf"^\s*(?:/\*.*?\*/|--[^\n]*\n|\s)*create\s+(?:or replace\s+)?(?:external\s+)?(view|table)\s+{NAME}", re.I | re.S
)
DROPPED = re.compile(rf"^\s*(?:/\*.*?\*/|\s)*drop\s+(?:view|table)\s+(?:if exists\s+)?{NAME}", re.I | re.S)
LOCATION = re.compile(r"(?:external_)?location\s*=?\s*'(s3://[^']+)'", re.I)


class Athena:
    """Athena in front of an application that keeps its queries."""

    def __init__(self, app: WSGIApplication, url: str) -> None:
        self.app, self.url = app, url

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("HTTP_X_AMZ_TARGET") == "AmazonAthena.StartQueryExecution":
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = BytesIO(body)
            try:
                self.do(json.loads(body)["QueryString"], Api(self.url, access_key(environ)))
            except ClientError as error:
                text = json.dumps({"__type": "InvalidRequestException", "message": str(error)}).encode()
                start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
                return [text]
        return self.app(environ, start_response)

    def do(self, query: str, api: Api) -> None:
        glue = api.client("glue")
        if found := DROPPED.match(query):
            glue.delete_table(DatabaseName=found[1], Name=found[2])
        if not (found := MADE.match(query)):
            return
        kind, database, name = found.groups()
        location = LOCATION.search(query)
        table = {"Name": name, "TableType": "VIRTUAL_VIEW" if kind.lower() == "view" else "EXTERNAL_TABLE"}
        if location:
            bucket, _, prefix = location[1].removeprefix("s3://").partition("/")
            if "external table" not in query.lower():
                api.client("s3").put_object(Bucket=bucket, Key=f"{prefix.rstrip('/')}/part", Body=b"")
            table["StorageDescriptor"] = {"Location": location[1], "Columns": []}
        try:
            glue.create_table(DatabaseName=database, TableInput=table)
        except glue.exceptions.AlreadyExistsException:
            glue.update_table(DatabaseName=database, TableInput=table)

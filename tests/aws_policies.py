"""IAM for the AWS server: who comes with a role's name may do what the role's policies say.

The access key `role:<name>` is a role's; other keys are an administrator's. Policies of buckets hold
for everyone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote
from xml.sax.saxutils import escape

from moto.athena.models import athena_backends
from moto.iam.models import iam_backends
from moto.s3.models import s3_backends

from aws_stacks import ACCOUNT, REGION, Stacks, access_key

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Statement = dict[str, Any]
"""A statement of a policy."""
Context = Mapping[str, str]
"""What conditions look at."""
Wanted = tuple[str, str, Context]
"""An action, its resource, and the context."""


class Gate:
    """Lets through what is allowed."""

    def __init__(self, app: WSGIApplication, stacks: Stacks) -> None:
        self.app, self.stacks = app, stacks

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = access_key(environ)
        scope = re.search("Credential=[^/]+/[^/]+/[^/]+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
        if not scope:
            return self.app(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        # The bodies of S3 may be large and say nothing here.
        body = b""
        if scope[1] != "s3":
            body = environ["wsgi.input"].read(length)
            environ["wsgi.input"] = BytesIO(body)
        statements = statements_of(key.removeprefix("role:")) if key.startswith("role:") else None
        for action, resource, context in self.wants(scope[1], environ, body):
            allowed = statements is None or allows(statements, action, resource, context)
            if not allowed or denies(action, resource, context):
                message = f"{key} is not authorized to perform: {action} on resource: {resource}"
                return refuse(scope[1], message, start_response)
        if scope[1] == "s3" and statements is not None and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return self.without_hints(statements, environ, start_response)
        return self.app(environ, start_response)

    def without_hints(
        self, statements: list[Statement], environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """To someone who may not list a bucket, S3 does not tell that an object is missing."""
        bucket = environ["PATH_INFO"].lstrip("/").partition("/")[0]
        answered = []

        def note(status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
            answered.append((status, headers))
            return lambda _: None

        body = self.app(environ, note)
        context = {"aws:ResourceAccount": owner(bucket)}
        if answered[0][0].startswith("404") and not allows(
            statements, "s3:ListBucket", f"arn:aws:s3:::{bucket}", context
        ):
            return refuse("s3", "Access Denied", start_response)
        start_response(*answered[0])
        return body

    def wants(self, service: str, environ: WSGIEnvironment, body: bytes) -> list[Wanted]:
        """What a request is about to do, as (action, resource, context)."""
        if service == "s3":
            return [s3_action(environ)]
        target = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        asked: dict[str, Any] = {}
        if target:
            asked = json.loads(body or b"{}")
        elif body.startswith(b"Action="):
            asked = {key: values[0] for key, values in parse_qs(body.decode()).items()}
            target = asked["Action"]
        known = {"glue": glue, "logs": logs, "secretsmanager": secrets, "athena": athena, "cloudformation": self.stack}
        resources = known.get(service, nothing)
        if target == "GetCallerIdentity":
            # Nobody needs a right to learn who they are.
            return []
        wanted: list[Wanted] = [(f"{service}:{target}", resource, {}) for resource in resources(target, asked)]
        if service == "glue" and target in ("CreateJob", "UpdateJob"):
            role = asked.get("Role") or asked.get("JobUpdate", {}).get("Role")
            wanted.append(("iam:PassRole", role, {"iam:PassedToService": "glue.amazonaws.com"}))
        return wanted

    def stack(self, _action: str, asked: Mapping[str, Any]) -> list[str]:
        name = asked.get("StackName", "")
        found = next((stack.id for stack in self.stacks.stacks.values() if name in (stack.name, stack.id)), None)
        return [found or f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{name}/"]


def owner(bucket: str) -> str:
    """Whose a bucket is. One that is not here is somebody's."""
    return ACCOUNT if bucket in s3_backends[ACCOUNT]["aws"].buckets else "another"


def s3_action(environ: WSGIEnvironment) -> Wanted:
    method, query = environ["REQUEST_METHOD"], parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    bucket, _, key = unquote(environ["PATH_INFO"]).lstrip("/").partition("/")
    resource = f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"
    context = {"aws:SecureTransport": "true", "aws:ResourceAccount": owner(bucket)}
    if "HTTP_IF_NONE_MATCH" in environ:
        context["s3:if-none-match"] = environ["HTTP_IF_NONE_MATCH"]
    if not key:
        if method == "GET" and (not query or "list-type" in query or "prefix" in query):
            return "s3:ListBucket", resource, {**context, "s3:prefix": query.get("prefix", [""])[0]}
        if method == "GET" and "location" in query:
            return "s3:GetBucketLocation", resource, context
        if method == "HEAD":
            return "s3:ListBucket", resource, context
        if method == "POST" and "delete" in query:
            return "s3:DeleteObject", f"{resource}/*", context
        return f"s3:{method.title()}Bucket", resource, context
    if method == "DELETE":
        return ("s3:AbortMultipartUpload" if "uploadId" in query else "s3:DeleteObject"), resource, context
    return ("s3:GetObject" if method in ("GET", "HEAD") else "s3:PutObject"), resource, context


def glue(action: str, asked: Mapping[str, Any]) -> list[str]:
    def arn(what: str) -> str:
        return f"arn:aws:glue:{REGION}:{ACCOUNT}:{what}"

    name = asked.get("Name") or asked.get("JobName") or asked.get("TableInput", {}).get("Name")
    for kind in ("Job", "Trigger", "Crawler"):
        if kind in action:
            return [arn(f"{kind.lower()}/{name}")]
    if action == "GetDatabases":
        return [arn("catalog"), arn("database/*")]
    database = asked.get("DatabaseName") or name or asked.get("DatabaseInput", {}).get("Name")
    found = [arn("catalog"), arn(f"database/{database}")]
    if "Table" in action or "Partition" in action:
        table = asked.get("TableName") or (name if "Table" in action else None) or "*"
        found.append(arn(f"table/{database}/{table}"))
    return found


def logs(_action: str, asked: Mapping[str, Any]) -> list[str]:
    return [f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{asked.get('logGroupName')}:*"]


def secrets(_action: str, asked: Mapping[str, Any]) -> list[str]:
    secret = asked.get("SecretId") or asked.get("Name") or "*"
    return [
        secret if secret.startswith("arn:") else f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{secret}-abcdef"
    ]


def athena(action: str, asked: Mapping[str, Any]) -> list[str]:
    def arn(what: str) -> str:
        return f"arn:aws:athena:{REGION}:{ACCOUNT}:{what}"

    if "DataCatalog" in action:
        return [arn(f"datacatalog/{asked.get('Name')}")]
    if "QueryExecutionId" in asked:
        of = athena_backends[ACCOUNT][REGION].executions.get(asked["QueryExecutionId"])
        return [arn(f"workgroup/{of.workgroup.name if of and of.workgroup else 'primary'}")]
    return [arn(f"workgroup/{asked.get('WorkGroup') or 'primary'}")]


def nothing(_action: str, _asked: Mapping[str, Any]) -> list[str]:
    return ["*"]


def statements_of(role: str) -> list[Statement]:
    backend = iam_backends[ACCOUNT]["aws"]
    found = backend.get_role(role)
    managed = [
        next(version for version in policy.versions if version.version_id == policy.default_version_id)
        for policy in found.managed_policies.values()
    ]
    documents = [*found.policies.values(), *(version.document for version in managed)]
    return [statement for document in documents for statement in listed(json.loads(document)["Statement"])]


def denies(action: str, resource: str, context: Context) -> bool:
    """Whether the policy of a bucket forbids it."""
    if not resource or not resource.startswith("arn:aws:s3:::"):
        return False
    bucket = s3_backends[ACCOUNT]["aws"].buckets.get(resource.removeprefix("arn:aws:s3:::").partition("/")[0])
    if not bucket or not bucket.policy:
        return False
    statements = listed(json.loads(bucket.policy)["Statement"])
    return any(statement["Effect"] == "Deny" and fits(statement, action, resource, context) for statement in statements)


def allows(statements: list[Statement], action: str, resource: str, context: Context) -> bool:
    fitting = [statement["Effect"] for statement in statements if fits(statement, action, resource, context)]
    return "Allow" in fitting and "Deny" not in fitting


def fits(statement: Statement, action: str, resource: str, context: Context) -> bool:
    return (
        any(fnmatchcase(action.lower(), pattern.lower()) for pattern in listed(statement["Action"]))
        and any(fnmatchcase(resource or "", pattern) for pattern in listed(statement["Resource"]))
        and all(
            holds(operator, context.get(key), listed(wanted))
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def holds(operator: str, value: str | None, wanted: list[str]) -> bool:
    match operator:
        case "Null":
            return (value is None) == (wanted == ["true"])
        case "StringEquals" | "Bool":
            return value in wanted
        case "StringLike":
            return value is not None and any(fnmatchcase(value, pattern) for pattern in wanted)
    raise ValueError(f"the condition operator {operator} is unknown here")


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def refuse(service: str, message: str, start_response: StartResponse) -> list[bytes]:
    if service in ("glue", "logs", "secretsmanager", "events", "ecs", "athena"):
        start_response("400 Bad Request", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"__type": "AccessDeniedException", "message": message}).encode()]
    error = f"<Code>AccessDenied</Code><Message>{escape(message)}</Message>"
    start_response("403 Forbidden", [("Content-Type", "text/xml")])
    text = f"<Error>{error}</Error>" if service == "s3" else f"<ErrorResponse><Error>{error}</Error></ErrorResponse>"
    return [text.encode()]

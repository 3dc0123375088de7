"""CloudFormation for the AWS server.

moto's own says CREATE_COMPLETE for what it does not make. This one makes every resource of a template
by the API of its service, with the rights of who asked, or takes the whole change back.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

import boto3
import yaml
from botocore import validate
from botocore.exceptions import BotoCoreError, ClientError

from aws_server import violations

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from botocore.model import ListShape, MapShape, Shape, StructureShape

Properties = dict[str, Any]
"""What a template says of a resource, with all functions of the template resolved."""
Asked = Mapping[str, str]
"""The parameters of a request."""

ACCOUNT, REGION = "123456789012", "us-east-1"
ABSENT = object()
"""What `AWS::NoValue` stands for."""


class Refused(Exception):
    """An answer that is an error, as (code, message)."""


class Loader(yaml.SafeLoader):
    """YAML with the short forms of CloudFormation's functions."""


def short_form(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(cast(yaml.MappingNode, node), deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", short_form)
# Versions of policies and numbers of AWS accounts are text.
Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@dataclass
class Resource:
    """A resource as it was made."""

    kind: str
    properties: Properties
    reference: str
    attributes: dict[str, str]
    policy: str = "Delete"
    """What its template says of its end."""

    @property
    def kept(self) -> bool:
        """Whether it outlives its stack."""
        return self.policy in ("Retain", "RetainExceptOnCreate")


@dataclass
class Stack:
    """A stack as it is."""

    name: str
    template: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    resources: dict[str, Resource] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    exports: dict[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    status: str = ""
    events: list[dict[str, str]] = field(default_factory=list)
    id: str = ""

    def event(self, logical: str, kind: str, status: str, reason: str = "") -> None:
        event = {
            "EventId": uuid.uuid4().hex,
            "StackId": self.id,
            "StackName": self.name,
            "LogicalResourceId": logical,
            "ResourceType": kind,
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        self.events.insert(0, event)


class Stacks:
    """CloudFormation in front of an application that answers for the other services."""

    def __init__(self, app: WSGIApplication, url: str) -> None:
        self.app, self.url, self.lock = app, url, threading.Lock()
        self.stacks: dict[str, Stack] = {}

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if "/cloudformation/aws4_request" not in environ.get("HTTP_AUTHORIZATION", ""):
            return self.app(environ, start_response)
        length = int(environ.get("CONTENT_LENGTH") or 0)
        asked = {key: values[0] for key, values in parse_qs(environ["wsgi.input"].read(length).decode()).items()}
        action, key = asked["Action"], access_key(environ)
        try:
            with self.lock:
                result = getattr(self, re.sub("(?<!^)([A-Z])", r"_\1", action).lower())(asked, key)
            text = f"<{action}Response><{action}Result>{xml(result)}</{action}Result></{action}Response>"
            status = "200 OK"
        except Refused as refused:
            code, message = refused.args
            error = f"<Type>Sender</Type><Code>{code}</Code><Message>{escape(message)}</Message>"
            text, status = f"<ErrorResponse><Error>{error}</Error></ErrorResponse>", "400 Bad Request"
        start_response(status, [("Content-Type", "text/xml")])
        return [text.encode()]

    def find(self, asked: Asked) -> Stack:
        name = asked["StackName"]
        for stack in self.stacks.values():
            if name in (stack.name, stack.id):
                return stack
        raise Refused("ValidationError", f"Stack with id {name} does not exist")

    def describe_stacks(self, asked: Asked, _key: str) -> Properties:
        stack = self.find(asked)
        described = {
            "StackId": stack.id,
            "StackName": stack.name,
            "StackStatus": stack.status,
            "CreationTime": "2026-01-01T00:00:00Z",
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in stack.parameters.items()],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in stack.outputs.items()],
        }
        return {"Stacks": [described]}

    def describe_stack_events(self, asked: Asked, _key: str) -> Properties:
        return {"StackEvents": self.find(asked).events}

    def get_template(self, asked: Asked, _key: str) -> Properties:
        return {"TemplateBody": self.find(asked).template}

    def list_exports(self, _asked: Asked, _key: str) -> Properties:
        exports = [
            {"ExportingStackId": stack.id, "Name": name, "Value": value}
            for stack in self.stacks.values()
            for name, value in stack.exports.items()
        ]
        return {"Exports": exports}

    def create_stack(self, asked: Asked, key: str) -> Properties:
        if asked["StackName"] in self.stacks:
            raise Refused("AlreadyExistsException", f"Stack [{asked['StackName']}] already exists")
        stack = Stack(asked["StackName"])
        stack.id = f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{stack.name}/{uuid.uuid4()}"
        change = self.change(stack, asked)
        self.stacks[stack.name] = stack
        self.apply(stack, change, key, "CREATE")
        return {"StackId": stack.id}

    def update_stack(self, asked: Asked, key: str) -> Properties:
        stack = self.find(asked)
        if not re.fullmatch("(CREATE|UPDATE|UPDATE_ROLLBACK)_COMPLETE", stack.status):
            raise Refused("ValidationError", f"Stack:{stack.id} is in {stack.status} state and can not be updated.")
        change = self.change(stack, asked)
        if (change.text, change.parameters) == (stack.template, stack.parameters):
            raise Refused("ValidationError", "No updates are to be performed.")
        self.apply(stack, change, key, "UPDATE")
        return {"StackId": stack.id}

    def delete_stack(self, asked: Asked, key: str) -> Properties:
        stack = self.find(asked)
        api, at, kind = Api(self.url, key), stack.name, "AWS::CloudFormation::Stack"
        try:
            self.others(stack).mind(set(stack.exports))
        except KeyError as error:
            stack.event(at, kind, stack.status, f"Delete canceled. {error}")
            return {}
        try:
            for at, resource in reversed(list(stack.resources.items())):
                kind = resource.kind
                if not resource.kept:
                    KINDS[kind].remove(api, resource)
                    stack.event(at, kind, "DELETE_COMPLETE")
                del stack.resources[at]
        except (ClientError, BotoCoreError, KeyError) as error:
            stack.event(at, kind, "DELETE_FAILED", str(error))
            stack.status = "DELETE_FAILED"
            return {}
        del self.stacks[stack.name]
        return {}

    def others(self, stack: Stack) -> Others:
        return Others([other for other in self.stacks.values() if other.name != stack.name])

    def change(self, stack: Stack, asked: Asked) -> Change:
        text = stack.template if asked.get("UsePreviousTemplate") == "true" else asked["TemplateBody"]
        template = yaml.load(text, Loader)
        parameters = {}
        given = {asked[key]: key.replace(".ParameterKey", "") for key in asked if key.endswith(".ParameterKey")}
        unknown = set(given) - set(template.get("Parameters", {}))
        if unknown:
            raise Refused("ValidationError", f"Parameters: {sorted(unknown)} do not exist in the template")
        for name, rules in template.get("Parameters", {}).items():
            item = given.get(name)
            if item and asked.get(f"{item}.UsePreviousValue") == "true":
                value = stack.parameters[name]
            else:
                value = asked.get(f"{item}.ParameterValue", "") if item else rules.get("Default")
            if value is None:
                raise Refused("ValidationError", f"Parameters: [{name}] must have values")
            value = str(value)
            allowed, pattern = rules.get("AllowedValues"), rules.get("AllowedPattern")
            size = range(rules.get("MinLength", 0), rules.get("MaxLength", 4096) + 1)
            if len(value) not in size:
                raise Refused("ValidationError", f"Parameter {name} failed to satisfy constraint: length {size}")
            if (allowed and value not in map(str, allowed)) or (pattern and not re.fullmatch(pattern, value)):
                raise Refused("ValidationError", f"Parameter {name} failed to satisfy constraint: {allowed or pattern}")
            parameters[name] = value
        rights = [each for each in template["Resources"].values() if each["Type"].startswith("AWS::IAM::")]
        named = [each for each in rights if {"RoleName", "ManagedPolicyName"} & set(each.get("Properties", {}))]
        needed = {"CAPABILITY_NAMED_IAM"} if named else {"CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"}
        if rights and not needed & set(asked.values()):
            raise Refused("InsufficientCapabilitiesException", f"Requires capabilities : [{min(needed)}]")
        return Change(text, template, parameters, self.others(stack))

    def apply(self, stack: Stack, change: Change, key: str, verb: str) -> None:
        old = dict(stack.resources)
        stack.event(stack.name, "AWS::CloudFormation::Stack", f"{verb}_IN_PROGRESS")
        try:
            change.run(stack, Api(self.url, key))
        except (ClientError, BotoCoreError, KeyError) as error:
            stack.event(change.at, change.kind, f"{verb}_FAILED", str(error))
            if verb == "CREATE":
                stack.parameters = change.parameters
            back = "ROLLBACK" if verb == "CREATE" else "UPDATE_ROLLBACK"
            stack.event(stack.name, "AWS::CloudFormation::Stack", f"{back}_IN_PROGRESS")
            stack.status = f"{back}_COMPLETE"
            try:
                # With the rights of who asked, as all of it.
                self.take_back(stack, old, Api(self.url, key))
            except (ClientError, BotoCoreError, KeyError) as failed:
                stack.status = f"{back}_FAILED"
                stack.event(change.at, change.kind, stack.status, str(failed))
        else:
            stack.template, stack.parameters, stack.imports = change.text, change.parameters, change.imports
            stack.status = f"{verb}_COMPLETE"
        stack.event(stack.name, "AWS::CloudFormation::Stack", stack.status)

    def take_back(self, stack: Stack, old: dict[str, Resource], api: Api) -> None:
        for logical, resource in reversed(list(stack.resources.items())):
            if logical not in old and resource.policy != "Retain":
                KINDS[resource.kind].remove(api, resource)
            elif logical not in old:
                # It stays, and belongs to no stack.
                continue
            elif resource is not old[logical]:
                KINDS[resource.kind].change(api, resource, old[logical].properties)
        stack.resources = old


@dataclass
class Others:
    """The other stacks: what they export, and what they import."""

    stacks: list[Stack]

    @property
    def exports(self) -> dict[str, str]:
        return {name: value for stack in self.stacks for name, value in stack.exports.items()}

    def mind(self, names: set[str]) -> None:
        """Refuses that exports go or change which another stack imports."""
        for stack in self.stacks:
            for name in sorted(names & stack.imports):
                raise KeyError(f"Export {name} cannot be updated or deleted as it is in use by {stack.name}")


class Change:
    """A template and its parameters on the way into a stack."""

    def __init__(self, text: str, template: Properties, parameters: dict[str, str], others: Others) -> None:
        self.text, self.template, self.parameters, self.others = text, template, parameters, others
        self.imports = set[str]()
        self.at = self.kind = ""
        self.done: dict[str, Resource] = {}

    def run(self, stack: Stack, api: Api) -> None:
        self.stack, self.api = stack, api
        for logical in self.template["Resources"]:
            self.make(logical)
        for logical in [name for name in stack.resources if name not in self.done]:
            resource = stack.resources.pop(logical)
            if not resource.kept:
                KINDS[resource.kind].remove(api, resource)
        outputs = {
            name: output
            for name, output in self.template.get("Outputs", {}).items()
            if self.holds(output.get("Condition"))
        }
        values = {name: self.text_of(output["Value"]) for name, output in outputs.items()}
        exports = {
            self.text_of(output["Export"]["Name"]): values[name]
            for name, output in outputs.items()
            if "Export" in output
        }
        self.at, self.kind = stack.name, "AWS::CloudFormation::Stack"
        for name in sorted(set(exports) & set(self.others.exports)):
            raise KeyError(f"Export with name {name} is already exported by another stack")
        self.others.mind({name for name, value in stack.exports.items() if exports.get(name) != value})
        stack.outputs, stack.exports = values, exports

    def make(self, logical: str) -> Resource | None:
        """Makes or changes a resource, those first on which it depends. None if its condition does not hold."""
        if logical in self.done:
            return self.done[logical]
        declared = self.template["Resources"][logical]
        if not self.holds(declared.get("Condition")):
            return None
        others = declared.get("DependsOn", [])
        for other in [others] if isinstance(others, str) else others:
            self.make(other)
        self.at, self.kind = logical, declared["Type"]
        properties = self.resolve(declared.get("Properties", {}))
        self.at, self.kind = logical, declared["Type"]
        if self.kind not in KINDS:
            raise KeyError(f"this server makes no {self.kind}")
        kind, old = KINDS[self.kind], self.stack.resources.get(logical)
        if old and old.properties == properties:
            made = old
        elif old:
            reference = kind.change(self.api, old, properties)
            made = Resource(old.kind, properties, reference, old.attributes, old.policy)
            self.stack.event(logical, self.kind, "UPDATE_COMPLETE")
        else:
            name = f"{self.stack.name}-{logical}-{uuid.uuid4().hex[:12].upper()}"
            reference, attributes = kind.make(self.api, properties, name)
            made = Resource(self.kind, properties, reference, attributes, declared.get("DeletionPolicy", "Delete"))
            self.stack.event(logical, self.kind, "CREATE_COMPLETE")
        self.stack.resources[logical] = self.done[logical] = made
        return made

    def holds(self, condition: str | None) -> bool:
        return condition is None or bool(self.resolve(self.template["Conditions"][condition]))

    def text_of(self, value: Any) -> str:
        return str(self.resolve(value))

    def resolve(self, value: Any) -> Any:
        if isinstance(value, list):
            return [found for found in map(self.resolve, value) if found is not ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Ref":
                return self.reference(argument)
            conditions = self.template.get("Conditions", {})
            if function == "Condition" and isinstance(argument, str) and argument in conditions:
                return self.holds(argument)
            if function.startswith("Fn::"):
                return getattr(self, "fn_" + re.sub("(?<!^)([A-Z])", r"_\1", function[4:]).lower())(argument)
        resolved = {key: self.resolve(inner) for key, inner in value.items()}
        return {key: inner for key, inner in resolved.items() if inner is not ABSENT}

    def made(self, logical: str) -> Resource:
        resource = self.make(logical)
        if resource is None:
            raise KeyError(f"{logical} is not made: its condition does not hold")
        return resource

    def reference(self, name: str) -> Any:
        pseudo = {
            "AWS::AccountId": ACCOUNT,
            "AWS::Region": REGION,
            "AWS::Partition": "aws",
            "AWS::NoValue": ABSENT,
            "AWS::StackId": self.stack.id,
            "AWS::StackName": self.stack.name,
        }
        if name in pseudo:
            return pseudo[name]
        if name in self.parameters:
            kind = self.template["Parameters"][name]["Type"]
            return self.parameters[name].split(",") if kind == "CommaDelimitedList" else self.parameters[name]
        return self.made(name).reference

    def fn_get_att(self, argument: list[str]) -> str:
        return self.made(argument[0]).attributes[argument[1]]

    def fn_sub(self, argument: str | list[Any]) -> str:
        text, own = (argument, {}) if isinstance(argument, str) else argument

        def put(found: re.Match[str]) -> str:
            name = found[1]
            if name in own:
                return self.text_of(own[name])
            return str(self.fn_get_att(name.split(".", 1)) if "." in name else self.reference(name))

        return re.sub(r"\$\{([^!}]+)\}", put, text)

    def fn_import_value(self, argument: Any) -> str:
        name = self.text_of(argument)
        if name not in self.others.exports:
            raise KeyError(f"No export named {name} found.")
        self.imports.add(name)
        return self.others.exports[name]

    def fn_if(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1] if self.holds(argument[0]) else argument[2])

    def fn_equals(self, argument: list[Any]) -> bool:
        return self.text_of(argument[0]) == self.text_of(argument[1])

    def fn_not(self, argument: list[Any]) -> bool:
        return not self.resolve(argument[0])

    def fn_and(self, argument: list[Any]) -> bool:
        return all(map(self.resolve, argument))

    def fn_or(self, argument: list[Any]) -> bool:
        return any(map(self.resolve, argument))

    def fn_find_in_map(self, argument: list[str]) -> Any:
        name, first, second = map(self.text_of, argument)
        return self.template["Mappings"][name][first][second]

    def fn_join(self, argument: list[Any]) -> str:
        return str(argument[0]).join(self.resolve(argument[1]))

    def fn_split(self, argument: list[Any]) -> list[str]:
        return self.text_of(argument[1]).split(argument[0])

    def fn_select(self, argument: list[Any]) -> Any:
        return self.resolve(argument[1])[int(argument[0])]


class Api:
    """The services, with somebody's rights."""

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url, key

    def client(self, service: str) -> Any:
        # Its type is known for names that stand in the program, and this one does not.
        connect: Callable[..., Any] = boto3.client
        return connect(
            service, endpoint_url=self.url, region_name=REGION, aws_access_key_id=self.key, aws_secret_access_key="test"
        )

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """Calls an operation. Values of templates are text where the API wants numbers."""
        client = self.client(service)
        model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation])
        return getattr(client, operation)(**fitted(model.input_shape, parameters))


def fitted(shape: Shape, value: Any) -> Any:
    if shape.type_name == "structure":
        members = cast("StructureShape", shape).members
        unknown = set(value) - set(members)
        if unknown:
            raise KeyError(f"{shape.name} has no {sorted(unknown)}")
        return {key: fitted(members[key], inner) for key, inner in value.items()}
    if shape.type_name == "list":
        return [fitted(cast("ListShape", shape).member, inner) for inner in value]
    if shape.type_name == "map":
        return {key: fitted(cast("MapShape", shape).value, inner) for key, inner in value.items()}
    if shape.type_name in ("integer", "long"):
        return int(value)
    if shape.type_name in ("double", "float"):
        return float(value)
    if shape.type_name == "boolean":
        return value if isinstance(value, bool) else value == "true"
    return value


@dataclass
class Kind:
    """How a type of resource is made, changed and removed. Its name cannot be changed."""

    name: str | None
    """The property that names it."""
    put: Callable[[Api, Properties, Resource | None], Properties]
    """Makes it, or makes of the old one what the properties say; gives its attributes."""
    delete: Callable[[Api, Resource], object]
    arn: str = ""

    def make(self, api: Api, properties: Properties, name: str) -> tuple[str, dict[str, str]]:
        own = {self.name: name, **properties} if self.name else properties
        attributes = self.put(api, own, None)
        reference = attributes.pop("_reference", own.get(self.name or ""))
        return reference, {"Arn": self.arn.format_map(own), **attributes} if self.arn else attributes

    def change(self, api: Api, old: Resource, properties: Properties) -> str:
        """What it is called then: a task definition gets another number."""
        if self.name and properties.get(self.name, old.reference) != old.properties.get(self.name, old.reference):
            raise KeyError(f"{old.kind} {old.reference}: another name would replace it")
        made = self.put(api, {self.name: old.reference, **properties} if self.name else properties, old)
        return str(made.get("_reference", old.reference))

    def remove(self, api: Api, resource: Resource) -> None:
        self.delete(api, resource)


def bucket(api: Api, own: Properties, old: Resource | None) -> Properties:
    # CloudFormation's own names are those of S3: small, and no longer than 63 letters.
    name = own["BucketName"].lower()[-63:].lstrip("-")
    if old is None:
        api.call("s3", "create_bucket", Bucket=name)
    encryption = own["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    rules = [{"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]} for rule in encryption]
    api.call("s3", "put_bucket_encryption", Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    api.call(
        "s3",
        "put_public_access_block",
        Bucket=name,
        PublicAccessBlockConfiguration=own["PublicAccessBlockConfiguration"],
    )
    api.call("s3", "put_bucket_ownership_controls", Bucket=name, OwnershipControls=own["OwnershipControls"])
    if "VersioningConfiguration" in own:
        api.call("s3", "put_bucket_versioning", Bucket=name, VersioningConfiguration=own["VersioningConfiguration"])
    lifecycle = []
    for rule in own["LifecycleConfiguration"]["Rules"]:
        item = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
        item |= {
            key: rule[key] for key in ("AbortIncompleteMultipartUpload", "NoncurrentVersionExpiration") if key in rule
        }
        if rule.get("ExpiredObjectDeleteMarker"):
            item["Expiration"] = {"ExpiredObjectDeleteMarker": True}
        if "ExpirationInDays" in rule:
            item["Expiration"] = {"Days": rule["ExpirationInDays"]}
        lifecycle.append(item)
    api.call("s3", "put_bucket_lifecycle_configuration", Bucket=name, LifecycleConfiguration={"Rules": lifecycle})
    arn, domain = f"arn:aws:s3:::{name}", f"{name}.s3.{REGION}.amazonaws.com"
    return {"_reference": name, "Arn": arn, "RegionalDomainName": domain}


def bucket_policy(api: Api, own: Properties, _old: Resource | None) -> Properties:
    api.call("s3", "put_bucket_policy", Bucket=own["Bucket"], Policy=json.dumps(own["PolicyDocument"]))
    return {"_reference": own["Bucket"]}


def log_group(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is None:
        api.call("logs", "create_log_group", logGroupName=own["LogGroupName"])
    api.call("logs", "put_retention_policy", logGroupName=own["LogGroupName"], retentionInDays=own["RetentionInDays"])
    return {}


def role(api: Api, own: Properties, old: Resource | None) -> Properties:
    name = own["RoleName"]
    trust = json.dumps(own["AssumeRolePolicyDocument"])
    if old is None:
        more = {"MaxSessionDuration": own["MaxSessionDuration"]} if "MaxSessionDuration" in own else {}
        api.call(
            "iam",
            "create_role",
            RoleName=name,
            AssumeRolePolicyDocument=trust,
            Description=own.get("Description", ""),
            **more,
        )
    else:
        api.call("iam", "update_assume_role_policy", RoleName=name, PolicyDocument=trust)
    for policy in own.get("Policies", []):
        api.call(
            "iam",
            "put_role_policy",
            RoleName=name,
            PolicyName=policy["PolicyName"],
            PolicyDocument=json.dumps(policy["PolicyDocument"]),
        )
    for arn in own.get("ManagedPolicyArns", []):
        api.call("iam", "attach_role_policy", RoleName=name, PolicyArn=arn)
    return {}


def remove_role(api: Api, resource: Resource) -> None:
    for policy in resource.properties.get("Policies", []):
        api.call("iam", "delete_role_policy", RoleName=resource.reference, PolicyName=policy["PolicyName"])
    for arn in resource.properties.get("ManagedPolicyArns", []):
        api.call("iam", "detach_role_policy", RoleName=resource.reference, PolicyArn=arn)
    api.call("iam", "delete_role", RoleName=resource.reference)


def managed_policy(api: Api, own: Properties, old: Resource | None) -> Properties:
    document = json.dumps(own["PolicyDocument"])
    if old is not None:
        api.call("iam", "create_policy_version", PolicyArn=old.reference, PolicyDocument=document, SetAsDefault=True)
        return {}
    name = own.get("ManagedPolicyName", f"policy-{uuid.uuid4().hex[:12]}")
    made = api.call(
        "iam", "create_policy", PolicyName=name, PolicyDocument=document, Description=own.get("Description", "")
    )
    return {"_reference": made["Policy"]["Arn"]}


def oidc_provider(api: Api, own: Properties, _old: Resource | None) -> Properties:
    made = api.call(
        "iam", "create_open_id_connect_provider", Url=own["Url"], ClientIDList=own["ClientIdList"], ThumbprintList=[]
    )
    return {"_reference": made["OpenIDConnectProviderArn"]}


def topic(api: Api, own: Properties, _old: Resource | None) -> Properties:
    return {"_reference": api.call("sns", "create_topic", Name=own["TopicName"])["TopicArn"]}


def topic_policy(api: Api, own: Properties, _old: Resource | None) -> Properties:
    for arn in own["Topics"]:
        api.call(
            "sns",
            "set_topic_attributes",
            TopicArn=arn,
            AttributeName="Policy",
            AttributeValue=json.dumps(own["PolicyDocument"]),
        )
    return {"_reference": "topic-policy"}


def subscription(api: Api, own: Properties, _old: Resource | None) -> Properties:
    made = api.call("sns", "subscribe", TopicArn=own["TopicArn"], Protocol=own["Protocol"], Endpoint=own["Endpoint"])
    return {"_reference": made["SubscriptionArn"]}


def rule(api: Api, own: Properties, _old: Resource | None) -> Properties:
    targets = [of_task(target) if "EcsParameters" in target else target for target in own["Targets"]]
    definition = {key: value for key, value in own.items() if key != "Targets"}
    api.call("events", "put_rule", **{**definition, "EventPattern": json.dumps(own["EventPattern"])})
    api.call("events", "put_targets", Rule=own["Name"], Targets=targets)
    return {}


def remove_rule(api: Api, resource: Resource) -> None:
    # A rule with targets cannot be deleted.
    targets = [target["Id"] for target in resource.properties["Targets"]]
    api.call("events", "remove_targets", Rule=resource.reference, Ids=targets)
    api.call("events", "delete_rule", Name=resource.reference)


def secret(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is not None:
        api.call("secretsmanager", "update_secret", SecretId=old.reference, Description=own.get("Description", ""))
        return {}
    made = api.call("secretsmanager", "create_secret", **own)
    return {"_reference": made["ARN"]}


def alarm(api: Api, own: Properties, _old: Resource | None) -> Properties:
    api.call("cloudwatch", "put_metric_alarm", **own)
    return {}


def database(api: Api, own: Properties, old: Resource | None) -> Properties:
    name = own["DatabaseInput"]["Name"]
    if old is None:
        api.call("glue", "create_database", **own)
    else:
        api.call("glue", "update_database", Name=name, **own)
    return {"_reference": name}


def job(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is None:
        api.call("glue", "create_job", **own)
    else:
        update = {key: value for key, value in own.items() if key not in ("Name", "Tags")}
        api.call("glue", "update_job", JobName=own["Name"], JobUpdate=update)
    return {}


def trigger(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is None:
        api.call("glue", "create_trigger", **own)
        return {}
    update = {key: own[key] for key in ("Name", "Description", "Schedule", "Actions") if key in own}
    # Whether it runs is said when it is made, and no more.
    api.call("glue", "update_trigger", Name=own["Name"], TriggerUpdate=update)
    return {}


def crawler(api: Api, own: Properties, old: Resource | None) -> Properties:
    api.call("glue", "create_crawler" if old is None else "update_crawler", **own)
    return {}


def remove_alarm(api: Api, resource: Resource) -> None:
    api.call("cloudwatch", "delete_alarms", AlarmNames=[resource.reference])


def cluster(api: Api, own: Properties, _old: Resource | None) -> Properties:
    api.call("ecs", "create_cluster", clusterName=own["ClusterName"])
    return {}


def repository(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is not None:
        return old.attributes
    made = api.call(
        "ecr", "create_repository", repositoryName=own["RepositoryName"], imageTagMutability=own["ImageTagMutability"]
    )
    return {"RepositoryUri": made["repository"]["repositoryUri"]}


def task_definition(api: Api, own: Properties, _old: Resource | None) -> Properties:
    made = api.call("ecs", "register_task_definition", **camel(own))
    return {"_reference": made["taskDefinition"]["taskDefinitionArn"]}


def camel(value: Any, names: bool = True) -> Any:
    """ECS writes names small at the start; keys of a log driver's options are no names."""
    if isinstance(value, list):
        return [camel(inner) for inner in value]
    if isinstance(value, dict):
        return {
            key[0].lower() + key[1:] if names else key: camel(inner, key != "Options") for key, inner in value.items()
        }
    return value


def schedule(api: Api, own: Properties, old: Resource | None) -> Properties:
    own = {**own, "Target": of_task(own["Target"])}
    api.call("scheduler", "create_schedule" if old is None else "update_schedule", **own)
    return {}


def of_task(target: Properties) -> Properties:
    """A target that is a task, with the one name that the APIs write in another way than both templates."""
    ((_, network),) = target["EcsParameters"]["NetworkConfiguration"].items()
    asked = {**target["EcsParameters"], "NetworkConfiguration": {"awsvpcConfiguration": network}}
    return {**target, "EcsParameters": asked}


def workgroup(api: Api, own: Properties, old: Resource | None) -> Properties:
    if old is not None:
        raise KeyError(f"{own['Name']}: this server changes no workgroup")
    asked = {"Name": own["Name"], "Description": own["Description"], "Configuration": own["WorkGroupConfiguration"]}
    api.call("athena", "create_work_group", **asked)
    return {}


def held_against(
    service: str, operation: str, **attributes: str
) -> Callable[[Api, Properties, Resource | None], Properties]:
    """Makes nothing: nothing here stands for the service. What it would be asked is held against its API."""

    def put(api: Api, own: Properties, old: Resource | None) -> Properties:
        number = old.reference if old else f"E{uuid.uuid4().hex[:13].upper()}"
        shape = api.client(service).meta.service_model.operation_model(operation).input_shape
        asked = as_asked(shape, {key: value for key, value in own.items() if key != "AutoPublish"})
        if report := validate.ParamValidator().validate(asked, shape).generate_report():
            raise KeyError(f"{operation}: {report}")
        # botocore itself does not mind values, lengths and patterns.
        if (found := next(violations(shape, asked, operation), None)) is not None:
            raise KeyError(found)
        made = {name: value.format(number=number, account=ACCOUNT) for name, value in attributes.items()}
        return {"_reference": number, **made}

    return put


NAMED_OTHERWISE = {
    "AcmCertificateArn": "ACMCertificateArn",
    "SslSupportMethod": "SSLSupportMethod",
    "IPV6Enabled": "IsIPV6Enabled",
    "TimeZone": "Timezone",
}
"""Properties that templates call otherwise than the API."""


def as_asked(shape: Shape, value: Any) -> Any:
    """What a template says, as the API wants it: of CloudFront lists with their lengths, texts as bytes and numbers."""
    if shape.type_name == "structure":
        members = cast("StructureShape", shape).members
        if "Quantity" in members and not isinstance(value, dict):
            listed = [as_asked(cast("ListShape", members["Items"]).member, inner) for inner in value]
            found: Properties = {"Quantity": len(listed), "Items": listed}
            return {**found, "Enabled": True} if "Enabled" in members else found
        named = {NAMED_OTHERWISE.get(key, key): inner for key, inner in value.items()}
        if unknown := set(named) - set(members):
            raise KeyError(f"{shape.name} has no {sorted(unknown)}")
        found = {key: as_asked(members[key], inner) for key, inner in named.items()}
        # What a template leaves out, and its API wants.
        for name in set(cast("StructureShape", shape).required_members) - set(found):
            if name in ("CallerReference", "Quantity", "Comment"):
                found[name] = len(found["Items"]) if name == "Quantity" else "stack"
        return found
    if shape.type_name == "list":
        return [as_asked(cast("ListShape", shape).member, inner) for inner in value]
    return value.encode() if shape.type_name == "blob" else fitted(shape, value)


def gone(service: str, operation: str, parameter: str) -> Callable[[Api, Resource], object]:
    return lambda api, resource: api.call(service, operation, **{parameter: resource.reference})


def stays(_api: Api, _resource: Resource) -> None:
    """Goes with what it belongs to."""


KINDS = {
    "AWS::S3::Bucket": Kind("BucketName", bucket, gone("s3", "delete_bucket", "Bucket")),
    "AWS::S3::BucketPolicy": Kind(None, bucket_policy, gone("s3", "delete_bucket_policy", "Bucket")),
    "AWS::Logs::LogGroup": Kind(
        "LogGroupName",
        log_group,
        gone("logs", "delete_log_group", "logGroupName"),
        arn=f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{{LogGroupName}}:*",
    ),
    "AWS::IAM::Role": Kind("RoleName", role, remove_role, arn=f"arn:aws:iam::{ACCOUNT}:role/{{RoleName}}"),
    "AWS::IAM::ManagedPolicy": Kind(None, managed_policy, gone("iam", "delete_policy", "PolicyArn")),
    "AWS::IAM::OIDCProvider": Kind(
        None, oidc_provider, gone("iam", "delete_open_id_connect_provider", "OpenIDConnectProviderArn")
    ),
    "AWS::SNS::Topic": Kind(None, topic, gone("sns", "delete_topic", "TopicArn")),
    "AWS::SNS::TopicPolicy": Kind(None, topic_policy, stays),
    "AWS::SNS::Subscription": Kind(None, subscription, gone("sns", "unsubscribe", "SubscriptionArn")),
    "AWS::Events::Rule": Kind("Name", rule, remove_rule),
    "AWS::SecretsManager::Secret": Kind(None, secret, gone("secretsmanager", "delete_secret", "SecretId")),
    "AWS::CloudWatch::Alarm": Kind("AlarmName", alarm, remove_alarm),
    "AWS::Glue::Database": Kind(None, database, gone("glue", "delete_database", "Name")),
    "AWS::Glue::Job": Kind("Name", job, gone("glue", "delete_job", "JobName")),
    "AWS::Glue::Trigger": Kind("Name", trigger, gone("glue", "delete_trigger", "Name")),
    "AWS::Glue::Crawler": Kind("Name", crawler, gone("glue", "delete_crawler", "Name")),
    "AWS::ECS::Cluster": Kind(
        "ClusterName",
        cluster,
        gone("ecs", "delete_cluster", "cluster"),
        arn=f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{{ClusterName}}",
    ),
    "AWS::ECS::TaskDefinition": Kind(
        None, task_definition, gone("ecs", "deregister_task_definition", "taskDefinition")
    ),
    "AWS::ECR::Repository": Kind(
        "RepositoryName",
        repository,
        gone("ecr", "delete_repository", "repositoryName"),
        arn=f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{{RepositoryName}}",
    ),
    "AWS::Athena::WorkGroup": Kind("Name", workgroup, gone("athena", "delete_work_group", "WorkGroup")),
    "AWS::CloudFront::OriginAccessControl": Kind(
        None, held_against("cloudfront", "CreateOriginAccessControl", Id="{number}"), stays
    ),
    "AWS::CloudFront::PublicKey": Kind(None, held_against("cloudfront", "CreatePublicKey"), stays),
    "AWS::CloudFront::KeyGroup": Kind(None, held_against("cloudfront", "CreateKeyGroup"), stays),
    "AWS::CloudFront::CachePolicy": Kind(None, held_against("cloudfront", "CreateCachePolicy"), stays),
    "AWS::CloudFront::ResponseHeadersPolicy": Kind(
        None, held_against("cloudfront", "CreateResponseHeadersPolicy"), stays
    ),
    "AWS::CloudFront::Function": Kind(
        None,
        held_against("cloudfront", "CreateFunction", FunctionARN="arn:aws:cloudfront::{account}:function/{number}"),
        stays,
    ),
    "AWS::CloudFront::Distribution": Kind(
        None, held_against("cloudfront", "CreateDistribution", DomainName="{number}.cloudfront.net"), stays
    ),
    "AWS::QuickSight::DataSource": Kind(
        None, held_against("quicksight", "CreateDataSource", Arn="arn:aws:quicksight:datasource/{number}"), stays
    ),
    "AWS::QuickSight::DataSet": Kind(
        None, held_against("quicksight", "CreateDataSet", Arn="arn:aws:quicksight:dataset/{number}"), stays
    ),
    "AWS::QuickSight::RefreshSchedule": Kind(None, held_against("quicksight", "CreateRefreshSchedule"), stays),
    "AWS::QuickSight::Dashboard": Kind(None, held_against("quicksight", "CreateDashboard"), stays),
    "AWS::Scheduler::Schedule": Kind("Name", schedule, gone("scheduler", "delete_schedule", "Name")),
}


def access_key(environ: WSGIEnvironment) -> str:
    found = re.search("Credential=([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return found[1] if found else ""


def xml(value: Any) -> str:
    if isinstance(value, dict):
        return "".join(f"<{key}>{xml(inner)}</{key}>" for key, inner in value.items())
    if isinstance(value, list):
        return "".join(f"<member>{xml(inner)}</member>" for inner in value)
    return escape(str(value))

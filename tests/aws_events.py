"""EventBridge for the AWS server: what a service tells goes by the rules to SNS, or is counted as failed.

moto keeps rules and targets, and brings nothing to a topic.
"""

from __future__ import annotations

import json
import re
from typing import Any

from moto.cloudwatch.models import cloudwatch_backends
from moto.core.utils import utcnow
from moto.events.models import events_backends
from moto.sns.models import sns_backends

from aws_stacks import ACCOUNT, REGION

Event = dict[str, Any]
"""An event as rules and targets see it."""


def tell(source: str, kind: str, detail: dict[str, Any]) -> None:
    """An AWS service tells that something happened."""
    event: Event = {"account": ACCOUNT, "region": REGION, "source": source, "detail-type": kind, "detail": detail}
    for rule in events_backends[ACCOUNT][REGION].event_buses["default"].rules.values():
        if rule.state == "ENABLED" and rule.event_pattern.matches_event(event):
            for target in rule.targets:
                count(rule.name, "Invocations")
                if not deliver(target, event):
                    count(rule.name, "FailedInvocations")


def deliver(target: dict[str, Any], event: Event) -> bool:
    """Whether the target, a topic, took the event."""
    topic = sns_backends[ACCOUNT][REGION].topics.get(target["Arn"])
    if topic is None or not may_publish(json.loads(topic.policy)):
        return False
    topic.publish(message_of(target, event))
    return True


def may_publish(policy: dict[str, Any]) -> bool:
    """EventBridge publishes without a role, and only where no condition is set on it: its user guide says under
    "Amazon SNS permissions" that topic policies for it cannot have any."""
    return any(
        statement["Effect"] == "Allow"
        and "events.amazonaws.com" in services(statement)
        and "Condition" not in statement
        and {"sns:Publish", "SNS:Publish"} & set(listed(statement["Action"]))
        for statement in policy["Statement"]
    )


def services(statement: dict[str, Any]) -> list[str]:
    principal = statement["Principal"]
    return listed(principal.get("Service", [])) if isinstance(principal, dict) else []


def listed(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def message_of(target: dict[str, Any], event: Event) -> str:
    transformer = target.get("InputTransformer")
    if not transformer:
        return json.dumps(event)
    values = {name: at(event, path) for name, path in transformer["InputPathsMap"].items()}
    return re.sub("<(\\w+)>", lambda found: str(values.get(found[1], "")), transformer["InputTemplate"])


def at(event: Event, path: str) -> Any:
    found: Any = event
    for name in path.removeprefix("$.").split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return found


def count(rule: str, metric: str) -> None:
    datum = {
        "MetricName": metric,
        "Dimensions": [{"Name": "RuleName", "Value": rule}],
        "Value": 1,
        "Timestamp": utcnow(),
    }
    cloudwatch_backends[ACCOUNT][REGION].put_metric_data("AWS/Events", [datum])

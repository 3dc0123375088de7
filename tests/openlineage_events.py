"""What an event of OpenLineage must be, by the classes that are made from its published schemas."""

from __future__ import annotations

import typing
from types import UnionType
from typing import Any

import attr
from openlineage.client import facet_v2
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent

from harness import Json

FACETS: dict[str, Any] = {
    "processing_engine": facet_v2.processing_engine_run.ProcessingEngineRunFacet,
    "parent": facet_v2.parent_run.ParentRunFacet,
    "errorMessage": facet_v2.error_message_run.ErrorMessageRunFacet,
    "jobType": facet_v2.job_type_job.JobTypeJobFacet,
    "dataSource": facet_v2.datasource_dataset.DatasourceDatasetFacet,
    "schema": facet_v2.schema_dataset.SchemaDatasetFacet,
    "symlinks": facet_v2.symlinks_dataset.SymlinksDatasetFacet,
    "columnLineage": facet_v2.column_lineage_dataset.ColumnLineageDatasetFacet,
    "inputStatistics": facet_v2.input_statistics_input_dataset.InputStatisticsInputDatasetFacet,
    "outputStatistics": facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet,
}
"""The facets that we send, by the names under which they stand."""


def made(kind: Any, value: Any) -> Any:
    """A value as an object of its class, which checks what it must be."""
    if typing.get_origin(kind) in (UnionType, typing.Union):
        (kind,) = [each for each in typing.get_args(kind) if each is not type(None)]
    if typing.get_origin(kind) is list:
        return [made(typing.get_args(kind)[0], each) for each in value]
    if typing.get_origin(kind) is dict:
        return {name: made(typing.get_args(kind)[1], each) for name, each in value.items()}
    if not attr.has(kind):
        assert kind is Any or isinstance(value, kind), (kind, value)
        return value
    known = {field.name: field for field in attr.fields(kind)}
    assert value.keys() <= known.keys(), (kind, value.keys() - known.keys())
    hints = typing.get_type_hints(kind)
    inside = {
        known[name].alias: facets(each) if name.lower().endswith("facets") else made(hints[name], each)
        for name, each in value.items()
        if known[name].init
    }
    return kind(**inside)


def facets(found: Json) -> dict[str, Any]:
    """Facets, each of the class and the version of its name."""
    for name, facet in found.items():
        assert facet["_schemaURL"] == FACETS[name]._get_schema(), name
        assert facet["_producer"].startswith("https://"), name
    return {name: made(FACETS[name], facet) for name, facet in found.items()}


def checked(event: Json) -> Json:
    """An event that is as the schemas have it."""
    assert event["schemaURL"] == RunEvent._get_schema()
    made(Run, event["run"])
    made(Job, event["job"])
    for name, kind in (("inputs", InputDataset), ("outputs", OutputDataset)):
        for dataset in event[name]:
            made(kind, dataset)
    kinds = typing.get_type_hints(RunEvent)["eventType"]
    (kind,) = [each for each in typing.get_args(kinds) if each is not type(None)]
    plain = {name: event[name] for name in ("eventTime", "producer")}
    RunEvent(eventType=kind(event["eventType"]), run=made(Run, event["run"]), job=made(Job, event["job"]), **plain)
    return event

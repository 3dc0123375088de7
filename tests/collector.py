"""A server to which programs tell of their runs, as an OpenTelemetry collector and as Marquez."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from harness import Json


@dataclass
class Span:
    """A span as it arrived."""

    name: str
    id: str
    trace: str
    parent: str
    kind: int
    status: int
    description: str
    attributes: Json
    resource: Json
    events: list[str]


@dataclass
class Point:
    """The newest value of a metric, for some attributes."""

    name: str
    unit: str
    attributes: Json
    value: float


def plain(attributes: Any) -> Json:
    """Attributes as an object."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in attributes}


@dataclass
class Collector:
    """What has arrived, by path."""

    url: str
    port: int
    bodies: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200

    def of(self, path: str) -> list[bytes]:
        return [body for at, _, body in self.bodies if at == path]

    def everything(self) -> str:
        """All bytes, to look for what must not be among them."""
        return "".join(f"{path} {body.decode('latin-1')}" for path, _, body in self.bodies)

    @property
    def spans(self) -> list[Span]:
        found = []
        for body in self.of("/v1/traces"):
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = plain(of_resource.resource.attributes)
                for scope in of_resource.scope_spans:
                    found += [
                        Span(
                            span.name,
                            span.span_id.hex(),
                            span.trace_id.hex(),
                            span.parent_span_id.hex(),
                            span.kind,
                            span.status.code,
                            span.status.message,
                            plain(span.attributes),
                            resource,
                            [event.name for event in span.events],
                        )
                        for span in scope.spans
                    ]
        return found

    @property
    def points(self) -> list[Point]:
        """The points of the last export that had any."""
        body = self.of("/v1/metrics")[-1]
        found = []
        for of_resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in of_resource.scope_metrics:
                for metric in scope.metrics:
                    data = metric.sum if metric.HasField("sum") else metric.gauge
                    found += [
                        Point(metric.name, metric.unit, plain(point.attributes), point.as_double)
                        for point in data.data_points
                    ]
        return found

    @property
    def events(self) -> list[Json]:
        """The lineage, in order."""
        return [json.loads(body) for path, _, body in self.bodies if path.startswith("/api/v1/lineage")]


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that answers until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            here.bodies.append((self.path, dict(self.headers.items()), body))
            self.send_response(here.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here = Collector(f"http://127.0.0.1:{server.server_port}", server.server_port)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield here
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections, and never answers. Its address."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"

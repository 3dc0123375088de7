"""Runs the Airbyte verbs of both programs the way Airbyte does, and checks every line that they print."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from airbyte_protocol.models import AirbyteMessage

from harness import TAP, TARGET, Json, Run, run


@dataclass
class Verb(Run):
    """What a verb did. Every line is a message of Airbyte's own models."""

    def __post_init__(self) -> None:
        for line in self.out.splitlines():
            message = AirbyteMessage.model_validate_json(line)
            assert not (message.model_extra or {}), f"unknown fields in {line}"
        assert self.out == "" or self.out.endswith("\n")

    @property
    def status(self) -> Json:
        (message,) = self.messages
        status: Json = message["connectionStatus"]
        return status

    def records(self, stream: str | None = None) -> list[Json]:
        return [m["record"]["data"] for m in self.of_type("RECORD") if stream in (None, m["record"]["stream"])]

    def states(self, stream: str | None = None) -> list[Json]:
        """The state messages, of one stream or of all."""
        return [m["state"] for m in self.of_type("STATE") if stream in (None, descriptor(m)["name"])]

    def statuses(self, stream: str) -> list[str]:
        traces = [m["trace"] for m in self.of_type("TRACE") if m["trace"]["type"] == "STREAM_STATUS"]
        found = [t["stream_status"] for t in traces]
        return [s["status"] for s in found if s["stream_descriptor"]["name"] == stream]

    def errors(self) -> list[Json]:
        return [m["trace"]["error"] for m in self.of_type("TRACE") if m["trace"]["type"] == "ERROR"]

    def failed(self, *words: str, kind: str | None = None) -> Self:
        """Ended with a trace, the last one with these words in it."""
        assert self.code == 1, f"exit code {self.code}\n{self.err[-3000:]}"
        assert self.errors(), f"no trace of an error\n{self.err[-3000:]}"
        error = self.errors()[-1]
        for word in words:
            assert word in error["message"], f"{word!r} is not in {error['message']!r}"
        assert kind in (None, error["failure_type"]), error
        assert "panicked" not in self.err
        return self


def descriptor(message: Json) -> Json:
    found: Json = message["state"]["stream"]["stream_descriptor"]
    return found


class Connector:
    """A program behind its verbs, with its files in a folder."""

    def __init__(self, program: str, folder: Path, config: Json) -> None:
        self.program, self.folder, self.config = program, folder, config

    def file(self, name: str, content: object) -> Path:
        """A file as Airbyte hands it over: read-only, of any name."""
        path = self.folder / f"{Path(self.program).name}-{name}.txt"
        path.unlink(missing_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o444)
        return path

    def verb(self, verb: str, *more: object, stdin: str | bytes = "", env: Mapping[str, str] | None = None) -> Verb:
        done = run(self.program, *self.command(verb, *more), stdin=stdin, env=env)
        return Verb(done.code, done.out, done.err)

    def command(self, verb: str, *more: object) -> list[object]:
        config = [] if verb == "spec" else ["--config", self.file("config", self.config)]
        return [verb, *config, *more]

    def spec(self) -> Json:
        (message,) = self.verb("spec").succeeded().messages
        spec: Json = message["spec"]
        return spec

    def check(self) -> Json:
        return self.verb("check").succeeded().status


class Source(Connector):
    def __init__(self, folder: Path, config: Json) -> None:
        super().__init__(TAP, folder, config)

    def discover(self) -> list[Json]:
        (message,) = self.verb("discover", "--debug").succeeded().messages
        streams: list[Json] = message["catalog"]["streams"]
        return streams

    def catalog(
        self, *names: str, mode: str = "incremental", destination: str = "append_dedup", **more: object
    ) -> Json:
        """A configured catalog of these streams, or of all."""
        streams = [s for s in self.discover() if not names or s["name"] in names]
        return {
            "streams": [
                {
                    "stream": stream,
                    "sync_mode": mode,
                    "destination_sync_mode": destination,
                    "cursor_field": stream.get("default_cursor_field", []),
                    "primary_key": stream["source_defined_primary_key"],
                    **more,
                }
                for stream in streams
            ]
        }

    def read_command(self, catalog: object, state: object = None) -> list[object]:
        more = ["--catalog", self.file("catalog", catalog)]
        if state is not None:
            more += ["--state", self.file("state", state)]
        return self.command("read", *more)

    def read(self, catalog: object, state: object = None) -> Verb:
        done = run(self.program, *self.read_command(catalog, state))
        return Verb(done.code, done.out, done.err)


class Destination(Connector):
    def __init__(self, folder: Path, config: Json) -> None:
        super().__init__(TARGET, folder, config)

    def write_command(self, catalog: object) -> list[object]:
        return self.command("write", "--catalog", self.file("catalog", catalog))

    def write(self, catalog: object, messages: str | bytes | Iterable[Json]) -> Verb:
        stdin = messages if isinstance(messages, (str, bytes)) else "".join(json.dumps(m) + "\n" for m in messages)
        done = run(self.program, *self.write_command(catalog), stdin=stdin)
        return Verb(done.code, done.out, done.err)


def strict(schema: Json) -> Any:
    """The schema's validator as Airbyte has it: 1.0 is no integer."""
    from jsonschema import Draft7Validator, validators

    checker = Draft7Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    return validators.extend(Draft7Validator, type_checker=checker)(schema)

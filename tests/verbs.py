"""Runs the Airbyte verbs of both programs the way Airbyte does, and checks every line that they print."""

import json
from dataclasses import dataclass
from pathlib import Path

from airbyte_protocol.models import AirbyteMessage
from harness import TAP, TARGET, Run, run


@dataclass
class Verb(Run):
    """What a verb did. Every line is a message of Airbyte's own models."""

    def __post_init__(self):
        for line in self.out.splitlines():
            message = AirbyteMessage.model_validate_json(line)
            assert not (message.model_extra or {}), f"unknown fields in {line}"
        assert self.out == "" or self.out.endswith("\n")

    @property
    def status(self):
        (message,) = self.messages
        return message["connectionStatus"]

    def records(self, stream=None):
        return [m["record"]["data"] for m in self.of_type("RECORD") if stream in (None, m["record"]["stream"])]

    def states(self, stream=None):
        """The state messages, of one stream or of all."""
        return [m["state"] for m in self.of_type("STATE") if stream in (None, descriptor(m)["name"])]

    def statuses(self, stream):
        traces = [m["trace"] for m in self.of_type("TRACE") if m["trace"]["type"] == "STREAM_STATUS"]
        found = [t["stream_status"] for t in traces]
        return [s["status"] for s in found if s["stream_descriptor"]["name"] == stream]

    def errors(self):
        return [m["trace"]["error"] for m in self.of_type("TRACE") if m["trace"]["type"] == "ERROR"]

    def failed(self, *words, kind=None):
        """Ended with a trace, the last one with these words in it."""
        assert self.code == 1, f"exit code {self.code}\n{self.err[-3000:]}"
        assert self.errors(), f"no trace of an error\n{self.err[-3000:]}"
        error = self.errors()[-1]
        for word in words:
            assert word in error["message"], f"{word!r} is not in {error['message']!r}"
        assert kind in (None, error["failure_type"]), error
        assert "panicked" not in self.err
        return self


def descriptor(message):
    return message["state"]["stream"]["stream_descriptor"]


class Connector:
    """A program behind its verbs, with its files in a folder."""

    def __init__(self, program, folder, config):
        self.program, self.folder, self.config = program, Path(folder), config

    def file(self, name, content):
        """A file as Airbyte hands it over: read-only, of any name."""
        path = self.folder / f"{Path(self.program).name}-{name}.txt"
        path.unlink(missing_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(0o444)
        return path

    def verb(self, verb, *more, stdin="", env=None):
        done = run(self.program, *self.command(verb, *more), stdin=stdin, env=env)
        return Verb(done.code, done.out, done.err)

    def command(self, verb, *more):
        config = [] if verb == "spec" else ["--config", self.file("config", self.config)]
        return [verb, *config, *more]

    def spec(self):
        (message,) = self.verb("spec").succeeded().messages
        return message["spec"]

    def check(self):
        return self.verb("check").succeeded().status


class Source(Connector):
    def __init__(self, folder, config):
        super().__init__(TAP, folder, config)

    def discover(self):
        (message,) = self.verb("discover", "--debug").succeeded().messages
        return message["catalog"]["streams"]

    def catalog(self, *names, mode="incremental", destination="append_dedup", **more):
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

    def read_command(self, catalog, state=None):
        more = ["--catalog", self.file("catalog", catalog)]
        if state is not None:
            more += ["--state", self.file("state", state)]
        return self.command("read", *more)

    def read(self, catalog, state=None):
        done = run(self.program, *self.read_command(catalog, state))
        return Verb(done.code, done.out, done.err)


class Destination(Connector):
    def __init__(self, folder, config):
        super().__init__(TARGET, folder, config)

    def write_command(self, catalog):
        return self.command("write", "--catalog", self.file("catalog", catalog))

    def write(self, catalog, messages):
        stdin = messages if isinstance(messages, (str, bytes)) else "".join(json.dumps(m) + "\n" for m in messages)
        done = run(self.program, *self.write_command(catalog), stdin=stdin)
        return Verb(done.code, done.out, done.err)


def strict(schema):
    """The schema's validator as Airbyte has it: 1.0 is no integer."""
    from jsonschema import Draft7Validator, validators

    checker = Draft7Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: isinstance(value, int) and not isinstance(value, bool)
    )
    return validators.extend(Draft7Validator, type_checker=checker)(schema)

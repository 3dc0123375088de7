"""Appended rows, and runs that die while they give a state back: nothing is lost, nothing is doubled."""

import json
import subprocess
import time

import pyarrow.parquet as pq
import pytest

from harness import DEADLINE, JSON_LOG, TARGET, environment, lines, run, until
from lake import files

LARGE = "x" * 200_000
"""More than a pipe takes that nobody reads: who writes it stops in the middle."""


def schema(stream="a"):
    properties = {"id": {"type": "integer"}, "text": {"type": "string"}}
    return {"type": "SCHEMA", "stream": stream, "key_properties": [], "schema": {"properties": properties}}


def records(ids, stream="a"):
    return [{"type": "RECORD", "stream": stream, "record": {"id": number, "text": f"row {number}"}} for number in ids]


def state(number):
    return {"type": "STATE", "value": {"n": number}}


def large_state(number):
    return {"type": "STATE", "value": {"n": number, "large": LARGE}}


class Pipe:
    """A pipeline into a lake in a folder, with a state file of its own or without one."""

    def __init__(self, folder, name=None):
        self.lake = folder / "lake"
        self.config = folder / "t.json"
        self.config.write_text(json.dumps({"destination": str(self.lake)}))
        self.file = folder / f"{name}.json" if name else None

    def command(self):
        return [TARGET, "--config", self.config, *(["--state-out", self.file] if self.file else [])]

    def load(self, *messages):
        return run(*self.command(), *JSON_LOG, stdin=lines(*messages))

    def start(self, *messages):
        """A run whose states nobody reads yet."""
        process = subprocess.Popen(
            [str(word) for word in self.command()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            text=True,
        )
        process.stdin.write(lines(*messages))
        process.stdin.close()
        process.stdin = None
        return process

    def notes(self):
        folder = self.lake / "_lake" / "commits"
        found = []
        for path in folder.glob("*.json") if folder.exists() else []:
            try:
                found.append(json.loads(path.read_text()))
            except (FileNotFoundError, ValueError):
                continue
        return found

    def gives(self):
        """Whether a run is giving a state back at this moment."""
        return any(note["phase"] == "giving" for note in self.notes())

    def dies_while_it_gives(self, *messages):
        process = self.start(*messages)
        until(self.gives)
        # It has begun to write, and nobody reads.
        time.sleep(0.1)
        process.kill()
        process.communicate(timeout=DEADLINE)

    def ids(self, table="a"):
        return sorted(
            row["id"] for path in files(self.lake, table) for row in pq.ParquetFile(path).read(["id"]).to_pylist()
        )

    def is_settled(self):
        return not self.notes()


def recognised(done, stream="a"):
    return done.summary["streams"][stream].get("recognised", 0)


def test_rows_behind_the_last_state_are_left_out_and_come_again(tmp_path):
    pipe = Pipe(tmp_path)
    done = pipe.load(schema(), *records([1, 2, 3]), state(3), *records([4, 5]))
    done.refused("behind the last STATE", "`a`")
    assert [json.loads(line) for line in done.out.splitlines()] == [{"n": 3}]
    assert pipe.ids() == [1, 2, 3]
    pipe.load(schema(), *records(range(4, 9)), state(8)).succeeded()
    assert pipe.ids() == list(range(1, 9))


def test_without_any_state_all_rows_are_there(tmp_path):
    pipe = Pipe(tmp_path)
    pipe.load(schema(), *records([1, 2])).succeeded()
    pipe.load(schema(), {"type": "STATE", "value": {}}, *records([3])).succeeded()
    assert pipe.ids() == [1, 2, 3] and pipe.is_settled()


@pytest.mark.parametrize("first", [1, 3, 6])
def test_rows_that_come_again_are_known_where_nobody_knows_whether_the_state_arrived(tmp_path, first):
    pipe = Pipe(tmp_path)
    pipe.dies_while_it_gives(schema(), *records(range(1, 6)), large_state(5))
    assert pipe.ids() == [1, 2, 3, 4, 5]
    done = pipe.load(schema(), *records(range(first, 9)), *records([8]), state(8)).succeeded()
    assert pipe.ids() == [*range(1, 9), 8], "a row that comes twice in one run is there twice"
    assert recognised(done) == 6 - first
    assert pipe.is_settled()


def test_a_state_file_tells_what_was_given(tmp_path):
    pipe = Pipe(tmp_path, "state")
    # The file has the state, and who reads the pipe has not.
    pipe.dies_while_it_gives(schema(), *records(range(1, 6)), large_state(5))
    assert json.loads(pipe.file.read_text())["n"] == 5
    # The same rows once more are other rows.
    done = pipe.load(schema(), *records([5, 6]), state(6)).succeeded()
    assert pipe.ids() == [1, 2, 3, 4, 5, 5, 6] and recognised(done) == 0
    assert pipe.is_settled()


def test_a_state_that_never_changes(tmp_path):
    pipe = Pipe(tmp_path, "state")
    pipe.load(schema(), *records([1, 2]), large_state(0)).succeeded()
    pipe.dies_while_it_gives(schema(), *records([3, 4]), large_state(0))
    done = pipe.load(schema(), *records([3, 4, 5]), large_state(0)).succeeded()
    assert pipe.ids() == [1, 2, 3, 4, 5] and recognised(done) == 2


def test_rows_whose_state_nobody_takes_are_taken_back(tmp_path):
    pipe = Pipe(tmp_path)
    process = pipe.start(schema(), *records([1, 2]), large_state(2))
    process.stdout.close()
    process.stdout = None
    process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    assert pipe.ids() == [] and pipe.is_settled()
    pipe.load(schema(), *records([1, 2, 3]), state(3)).succeeded()
    assert pipe.ids() == [1, 2, 3]


def test_another_pipeline_leaves_a_living_run_and_a_dead_one_alone(tmp_path):
    one, other, bare = Pipe(tmp_path, "one"), Pipe(tmp_path, "other"), Pipe(tmp_path)
    living = one.start(schema(), *records([1, 2]), large_state(2))
    until(one.gives)
    for pipe, number in ((other, 10), (bare, 20)):
        pipe.load(schema(), *records([number]), state(number)).succeeded()
    out, err = living.communicate(timeout=DEADLINE)
    assert living.returncode == 0, err
    assert json.loads(out)["n"] == 2
    assert one.ids() == [1, 2, 10, 20] and one.is_settled()
    bare.dies_while_it_gives(schema(), *records([21, 22]), large_state(22))
    for pipe, number in ((one, 3), (other, 11)):
        pipe.load(schema(), *records([number]), state(number)).succeeded()
    assert not bare.is_settled()
    bare.load(schema(), *records([21, 22, 23]), state(23)).succeeded()
    assert one.ids() == [1, 2, 3, 10, 11, 20, 21, 22, 23] and bare.is_settled()


def test_what_is_put_together_after_a_death_can_still_be_told_apart(tmp_path):
    pipe = Pipe(tmp_path)
    for number in (1, 2):
        pipe.load(schema(), *records([number]), state(number)).succeeded()
    pipe.dies_while_it_gives(schema(), *records([3, 4]), large_state(4))
    run(TARGET, "maintain", "--config", pipe.config, "--compact").succeeded()
    assert len(files(pipe.lake, "a")) == 2, "the file in doubt stands by itself"
    pipe.load(schema(), *records([3, 4, 5]), state(5)).succeeded()
    assert pipe.ids() == [1, 2, 3, 4, 5]
    run(TARGET, "maintain", "--config", pipe.config, "--compact").succeeded()
    assert len(files(pipe.lake, "a")) == 1 and pipe.ids() == [1, 2, 3, 4, 5]


def test_when_a_row_was_read_does_not_make_it_another(tmp_path):
    pipe = Pipe(tmp_path)
    pipe.config.write_text(json.dumps({"destination": str(pipe.lake), "add_record_metadata": True}))
    pipe.dies_while_it_gives(schema(), *records([1, 2]), large_state(2))
    done = pipe.load(schema(), *records([2, 1, 3]), state(3)).succeeded()
    assert pipe.ids() == [1, 2, 3] and recognised(done) == 2


def test_a_state_file_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path):
    pipe = Pipe(tmp_path, "missing/state")
    pipe.load(schema(), *records([1]), state(1)).refused("`--state-out`", "there is no folder")
    assert not pipe.lake.exists() or pipe.ids() == []


def test_two_runs_with_one_state_file_are_refused(tmp_path):
    pipe = Pipe(tmp_path, "state")
    living = pipe.start(schema(), *records([1, 2]), large_state(2))
    until(pipe.gives)
    pipe.load(schema(), *records([1, 2, 3]), state(3)).refused("another run keeps its state in")
    living.communicate(timeout=DEADLINE)
    assert living.returncode == 0
    pipe.load(schema(), *records([3]), state(3)).succeeded()
    assert pipe.ids() == [1, 2, 3]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lake", "state.json", "t.json"]

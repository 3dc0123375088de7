"""A pipeline that goes on from the state that the lake itself holds."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from harness import TARGET


def target(lake: Path, *arguments: str, text: str = "", **config: object) -> subprocess.CompletedProcess[str]:
    settings = lake.parent / "target.json"
    settings.write_text(json.dumps({"destination": str(lake), "table_format": "iceberg", **config}))
    command = [TARGET, "--config", str(settings), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)


def messages(stream: str, ids: range, state: object) -> str:
    schema = {"properties": {"id": {"type": "integer"}, "name": {"type": "string"}}}
    lines = [{"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": []}]
    lines += [{"type": "RECORD", "stream": stream, "record": {"id": number, "name": "x"}} for number in ids]
    lines += [{"type": "STATE", "value": state}]
    return "".join(json.dumps(line) + "\n" for line in lines)


def metadata(lake: Path, table: str) -> dict[str, object]:
    folder = lake / table / "metadata"
    version = (folder / "version-hint.text").read_text()
    found: dict[str, object] = json.loads((folder / f"v{version}.metadata.json").read_text())
    return found


def test_the_lake_gives_the_state_back_byte_for_byte(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    empty = target(lake, "state")
    assert empty.returncode == 0
    assert empty.stdout == "{}\n"
    assert "holds a state yet" in empty.stderr
    first = '{"bookmarks": {"a": 1.10, "ü": 12345678901234567890}}'
    sent = messages("a", range(3), "S").replace('"S"', first)
    assert target(lake, text=sent).returncode == 0
    assert target(lake, "state").stdout == first + "\n"
    # A run that commits another table leaves its own.
    assert target(lake, text=messages("b", range(3), {"at": 2})).returncode == 0
    assert json.loads(target(lake, "state").stdout) == {"at": 2}


def test_the_snapshot_with_the_state_is_tagged(tmp_path: Path) -> None:
    lake = tmp_path / "lake"
    for turn in (1, 2):
        assert target(lake, text=messages("a", range(turn), {"at": turn})).returncode == 0
    found = metadata(lake, "a")
    refs, snapshots = found["refs"], found["snapshots"]
    assert isinstance(refs, dict)
    assert isinstance(snapshots, list)
    assert refs["singer-state"] == {"snapshot-id": found["current-snapshot-id"], "type": "tag"}
    assert [json.loads(snapshot["summary"]["singer.state"]) for snapshot in snapshots] == [{"at": 1}, {"at": 2}]
    assert {snapshot["summary"]["singer.stream"] for snapshot in snapshots} == {"a"}


@pytest.mark.parametrize("lost", [True, False])
def test_appended_rows_whose_state_did_not_reach_its_file_are_not_doubled(tmp_path: Path, lost: bool) -> None:
    lake, state = tmp_path / "lake", tmp_path / "state.json"
    out = ("--state-out", str(state))
    assert target(lake, *out, text=messages("a", range(3), {"at": 1})).returncode == 0
    before = state.read_text()
    assert target(lake, *out, text=messages("a", range(3, 6), {"at": 2})).returncode == 0
    if lost:
        # As if the run had died between the swap and the file.
        state.write_text(before)
    again = target(lake, *out, text=messages("a", range(3, 8), {"at": 3}))
    assert again.returncode == 0, again.stderr
    found = metadata(lake, "a")
    snapshots = found["snapshots"]
    assert isinstance(snapshots, list)
    # What a person sends twice on purpose is there twice.
    assert snapshots[-1]["summary"]["total-records"] == str(8 if lost else 11)
    assert ("come again are left out" in again.stderr) == lost


def test_a_relative_destination_is_named_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for turn in (1, 2):
        assert target(Path("lake"), text=messages("a", range(turn), {"at": turn})).returncode == 0
    found = metadata(tmp_path / "lake", "a")
    assert found["location"] == str(tmp_path / "lake" / "a")
    # Whoever reads it, or goes on with it, may do so from anywhere.
    assert target(tmp_path / "lake", text=messages("a", range(3), {"at": 3})).returncode == 0


@pytest.mark.parametrize("note", ['["a"', "{}", None])
def test_a_damaged_note_of_a_commit_is_an_error_and_no_state_is_made_up(tmp_path: Path, note: str | None) -> None:
    lake = tmp_path / "lake"
    assert target(lake, text=messages("a", range(3), {"at": 1})).returncode == 0
    file = lake / "a" / "metadata" / "v1.metadata.json"
    found = json.loads(file.read_text())
    (snapshot,) = found["snapshots"]
    assert snapshot["summary"].pop("singer.commit-tables") == '["a"]'
    if note is not None:
        snapshot["summary"]["singer.commit-tables"] = note
    file.write_text(json.dumps(found))
    for words, text in ((["state"], ""), ([], messages("a", range(3), {"at": 2}))):
        done = target(lake, *words, text=text)
        assert (done.returncode, done.stdout) == (1, "")
        assert "`singer.commit-tables`" in done.stderr
        assert str(snapshot["snapshot-id"]) in done.stderr
    assert metadata(lake, "a")["current-snapshot-id"] == snapshot["snapshot-id"]

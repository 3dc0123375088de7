"""What a person at a terminal sees."""

import json
import os
import pty
import re
import select
import subprocess
import sys

import pytest

from harness import ANSI, ROOT, TARGET, environment, run

WIDTH = "120"
SPINNER = re.compile("[⠀-⣿]")


def shown_by(start, code=0):
    """What a terminal shows of the processes that are started with it as their stderr, to their end."""
    ours, theirs = pty.openpty()
    processes = start(theirs, environment({"TERM": "xterm", "COLUMNS": WIDTH}))
    os.close(theirs)
    shown = b""
    while True:
        ready, _, _ = select.select([ours], [], [], 60)
        assert ready, "the program hangs"
        try:
            chunk = os.read(ours, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(ours)
    for process in processes:
        assert process.wait(60) == code, shown.decode()
    return shown.decode()


def watched(command, stdout=subprocess.DEVNULL, stdin=None, code=0):
    """Runs a program with a terminal as its stderr; gives what it writes there."""
    return shown_by(
        lambda stderr, env: [subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=stderr, env=env)], code
    )


def screen(written):
    """The lines that are left on a terminal of what was written to it: control sequences that programs use which
    redraw a line, and no others."""
    lines, row, column = [""], 0, 0
    for piece in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", written):
        control = re.fullmatch(r"\x1b\[([0-9;?]*)([A-Za-z])", piece)
        if piece == "\r":
            column = 0
        elif piece == "\n":
            row, column = row + 1, 0
            lines += [""] * (row + 1 - len(lines))
        elif control and control[2] == "K":
            lines[row] = "" if control[1] == "2" else lines[row][:column]
        elif control and control[2] == "A":
            row = max(0, row - int(control[1] or 1))
        elif control:
            assert control[2] in "mhl", control[0]
        elif piece:
            lines[row] = lines[row][:column].ljust(column) + piece + lines[row][column + len(piece) :]
            column += len(piece)
    return lines


def test_progress_and_a_closing_table(simulator, pipe, tmp_path):
    server = simulator(seed=60, medias=12, events=300, latency_ms=30)
    job = pipe(server)
    messages = tmp_path / "messages"
    with open(messages, "wb") as out:
        written = watched(job.tap_command(), stdout=out)
    assert "requests" in written and "fact_engagements" in written
    left = screen(written)
    assert any(line.split() == ["dim_media", "12"] for line in left)
    assert any(re.fullmatch(r"done: [\d,]+ records of 6 streams read, .* s", line) for line in left)
    assert "{" not in "".join(left) and "METRIC" not in written
    with open(messages, "rb") as stdin:
        left = screen(watched(job.target_command(), stdin=stdin))
    rows = [line.split() for line in left]
    assert ["table", "records", "rows", "new", "replaced", "unchanged", "files", "size"] in rows
    (media,) = [row for row in rows if row[:1] == ["dim_media"]]
    assert media[1:6] == ["12", "12", "0", "0", "1"]
    events = next(row for row in rows if row[:1] == ["dim_visitors"])
    assert int(events[1]) > int(events[2]), "records of one key are one row"


def test_no_line_of_either_program_leaves_a_dead_spinner(simulator, pipe):
    """Both write to one terminal, and the one does not know of the other's progress."""
    server = simulator(seed=61, medias=30, events=900, latency_ms=40)
    server.fault(kind="status", status=503, times=3, path="engagement")
    job = pipe(server, {"commit_interval_seconds": 1})

    def start(stderr, env):
        tap = subprocess.Popen(job.tap_command(), stdout=subprocess.PIPE, stderr=stderr, env=env)
        command = [*job.target_command(), "--log-level", "debug"]
        target = subprocess.Popen(command, stdin=tap.stdout, stdout=subprocess.DEVNULL, stderr=stderr, env=env)
        tap.stdout.close()
        return [tap, target]

    written = shown_by(start)
    assert SPINNER.search(written), "there was a line of progress"
    left = screen(written)
    assert any("trying again in" in line for line in left) and any("rows new" in line for line in left)
    dead = [line for line in left if SPINNER.search(line)]
    assert not dead, "\n".join(left)


def lines_of_progress(written):
    """The line of progress as it was drawn, time after time."""
    drawn = [ANSI.sub("", line) for line in re.split(r"\r\x1b\[2K|\n", written)]
    return [line for line in drawn if SPINNER.match(line)]


def test_the_line_says_what_everything_waits_for(simulator, pipe):
    server = simulator(seed=62, medias=2, events=10)
    server.fault(kind="status", status=429, seconds=3, times=1, path="stats/events")
    drawn = lines_of_progress(watched(pipe(server).tap_command()))
    waiting = [line for line in drawn if "waiting for Wistia's limit, " in line]
    assert waiting, drawn
    assert all("fact_events · " in line for line in waiting), "and in which stream"


def test_the_line_names_the_stream_that_is_read_before_its_first_answer(simulator, pipe):
    server = simulator(seed=63, medias=20, events=50)
    server.fault(kind="stall", seconds=2, times=1, path="stats/events")
    drawn = lines_of_progress(watched(pipe(server).tap_command()))
    waiting = [line for line in drawn if "fact_events" in line and " 0/" not in line]
    assert waiting and "20/20" not in drawn[-1], drawn


def test_quiet_shows_nothing_and_an_error_all_the_same(simulator, pipe):
    job = pipe(simulator(seed=64, medias=2, events=5))
    job.tap["extra"] = 1
    assert "".join(screen(watched([*job.tap_command(), "--quiet"]))).count("`extra`") == 1
    refused = watched([TARGET, "--config", "/there/is/none.json", "-q"], code=2)
    assert screen(refused)[0].startswith("error: could not read the settings in /there/is/none.json")


@pytest.mark.parametrize("command", ["python", "target"])
def test_what_the_demo_ends_with_works_as_printed(simulator, pipe, command):
    job = pipe(simulator(seed=65, medias=3, events=40))
    job.sync()
    done = run(sys.executable, ROOT / "scripts" / "report.py", job.lake, TARGET, "14", cwd=ROOT).succeeded()
    tables = re.search(r"^6 tables, [\d,]+ rows, \d+ files, \d+ [kM]?B in (\S+), in 14 seconds\.", done.out, re.M)
    assert tables and tables[1] == str(job.lake)
    typed = [line.strip() for line in done.out.splitlines() if line.startswith("  ") and "# " not in line][-3:]
    assert typed[0] == "make run"
    printed = typed[1] if command == "python" else typed[2]
    tried = run("bash", "-c", printed, cwd=ROOT).succeeded()
    assert ("event_key" if command == "python" else "fact_events") in tried.out, tried.out
    assert json.dumps(tried.out), printed

"""What a person at a terminal sees."""

import os
import pty
import select
import subprocess

from harness import ANSI, environment


def watched(command, stdout=subprocess.DEVNULL, stdin=None):
    """Runs a program with a terminal as its stderr; gives what it shows there."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=theirs, env=environment({"TERM": "xterm"}))
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
    assert process.wait(60) == 0, shown.decode()
    return ANSI.sub("", shown.decode())


def test_progress_and_a_closing_table(simulator, pipe, tmp_path):
    server = simulator(seed=60, medias=12, events=300, latency_ms=30)
    job = pipe(server)
    messages = tmp_path / "messages"
    with open(messages, "wb") as out:
        shown = watched(job.tap_command(), stdout=out)
    assert "requests" in shown and "fact_engagements" in shown
    assert any(line.split() == ["dim_media", "12"] for line in shown.splitlines())
    assert "summary=" not in shown and "METRIC" not in shown
    with open(messages, "rb") as stdin:
        shown = watched(job.target_command(), stdin=stdin)
    rows = [line.split() for line in shown.splitlines()]
    assert any(row[:3] == ["dim_media", "12", "1"] for row in rows)

"""What programs say of themselves is said at once: nothing is asked of the network, and little is computed.

Time depends on the mood of a machine; system calls and instructions do not, and valgrind counts both.
"""

import re
import sys

import pytest

from harness import TAP, TARGET, run

QUESTIONS = ["--help", "--version", "--about"]
MOST = 25_000_000
"""Instructions of a build that is not optimised. A release takes 0.7 to 3.6 million of them, about a millisecond."""
NETWORK = {"socket", "socketpair", "connect", "bind", "listen", "sendto", "sendmsg", "sendmmsg"}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("program", [TAP, TARGET])
def test_a_question_about_a_program_opens_no_socket(valgrind, program, question):
    traced = run(valgrind, "--tool=none", "--trace-children=yes", "--trace-syscalls=yes", program, question)
    called = set(re.findall(r"\bsys_(\w+)", traced.succeeded().err))
    assert {"mmap", "write"} <= called, "the trace is there"
    assert not called & NETWORK


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("program", [TAP, TARGET])
def test_a_question_about_a_program_is_cheap(valgrind, program, question, tmp_path):
    tool = ["--tool=callgrind", "--trace-children=yes", f"--callgrind-out-file={tmp_path}/%p"]
    counted = re.findall(r"Collected : (\d+)", run(valgrind, *tool, program, question).succeeded().err)
    assert counted
    assert 0 < sum(map(int, counted)) < MOST


def test_a_socket_would_be_seen(valgrind):
    asks = [sys.executable, "-c", "import socket; socket.socket()"]
    traced = run(valgrind, "--tool=none", "--trace-syscalls=yes", *asks).succeeded()
    assert "socket" in re.findall(r"\bsys_(\w+)", traced.err)

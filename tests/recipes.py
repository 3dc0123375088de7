"""The blocks of a page of the documentation that a reader types, and a clean folder in which they are typed.

A block in a language of commands is run as it is printed, in the order of its page. An HTML comment before a block
says what else becomes of it:

    <!-- saved as: PATH -->       it is a file
    <!-- needs: PROGRAM, … -->    it is run where these programs or Python modules are
    <!-- run by: TEST -->         that test types it, with a stand-in for what it needs
    <!-- not run: REASON -->      it cannot run here

What the reader has and a test has not stands for itself: `…` in a command is the token, and the machine's own folders,
such as /usr/local/bin, lie in the folder of the page.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness import ANSI, BINARIES, DEADLINE, ROOT, S3, TOKEN, Run, Simulator, environment

TYPED = {"console", "bash", "sh", "python"}
"""Languages of what is typed: a shell with `$` before each command and its answer below, programs."""
READ = {"text", "json", "yaml", "sql"}
"""Languages of what is looked at. A block in any other language is a file, or says why it is nothing."""
MARKS = {"saved as", "needs", "run by", "not run"}
MACHINE = re.compile(r"(?<![\w.~}/])/(?=(?:usr/local|var|etc|run/lock)/)")
"""Where the path of a folder of the machine begins."""

CONTINUED = re.compile(r"(?:.*(?:\\|\||&&)\n)*.*\n(?:> .*\n)*")
"""A command that may go on in the next lines, which may begin as the shell shows them."""
FENCE = re.compile(
    r"(?P<marks>(?:^ *<!-- (?:(?!-->).)* -->\n+)*)^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
MARK = re.compile(r"<!-- (?P<kind>[a-z ]+): (?P<value>(?:(?!-->).)*) -->", re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    place: str
    language: str
    text: str
    marks: Mapping[str, str]

    def commands(self) -> Iterator[tuple[str, str]]:
        """What is typed, each with the answer that is printed below it."""
        if self.language == "python":
            yield f"python - << 'END OF BLOCK'\n{self.text}END OF BLOCK", ""
        elif self.language != "console":
            yield self.text, ""
        else:
            for part in re.split(r"^\$ ", self.text, flags=re.MULTILINE)[1:]:
                command = CONTINUED.match(part)
                assert command, self.place
                yield re.sub(r"^> ", "", command.group(), flags=re.MULTILINE), part[command.end() :]

    def missing(self) -> list[str]:
        """What it needs and what is not here."""
        wanted = filter(None, self.marks.get("needs", "").split(", "))
        return [name for name in wanted if not (shutil.which(name) or importlib.util.find_spec(name))]


def blocks(page: str) -> list[Block]:
    """The blocks of a page, by its path from the root."""
    text = (ROOT / page).read_text()
    found = []
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("text"))
        marks = {mark["kind"]: mark["value"] for mark in MARK.finditer(match["marks"]) if mark["kind"] in MARKS}
        body = re.sub(f"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(Block(f"{page}:{line}", match["language"], body, marks))
    return found


def looks_like(printed: str, answer: str) -> bool:
    """Whether an answer has the shape of the printed one: `…` is anything, and figures are figures."""

    def shape(text: str) -> str:
        text = re.sub(r"\d[\d.,:]*", "0", ANSI.sub("", text)).replace("0 seconds", "0 second")
        return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())

    # Lines that were left out are one `…`.
    wanted = re.escape(shape(printed)).replace("…", r"[\s\S]*?")
    return re.search(rf"^{wanted}$", shape(answer), re.MULTILINE) is not None


class Desk:
    """Where a reader sits: a clean folder with this repository in it, and a home and a machine of their own. The
    environment says which account and which S3 there are."""

    def __init__(self, folder: Path, account: Simulator, s3: S3, **variables: str) -> None:
        self.account = account
        self.folder = folder / "desk"
        self.machine = folder / "machine"
        self.shell = folder / "shell"
        tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
        for name in filter(None, tracked.stdout.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.folder / name)
        for name in ("home", "machine/usr/local/bin", "machine/run/lock", "machine/var/log", "machine/etc"):
            (folder / name).mkdir(parents=True)
        # The environment of `make run` is this one, and that of the page the one that is there.
        pythons = {".venv-run": sys.executable, ".venv-report": str(ROOT / ".venv-dbt" / "bin" / "python")}
        for name, its in pythons.items():
            python = self.folder / name / "bin" / "python"
            python.parent.mkdir(parents=True)
            python.write_text(f'#!/bin/sh\nexec {shlex.quote(its)} "$@"\n')
            python.chmod(0o755)
            (self.folder / name / ".ready").touch()
        # What every page takes for granted: settings for the tap, and a lake.
        shutil.copy(ROOT / "examples" / "tap.json", self.folder)
        target = (ROOT / "examples" / "target-local.json").read_text().replace("./local/lake", "lake")
        (self.folder / "target.json").write_text(target)
        for program in ("tap-wistia", "target-s3-parquet"):
            (self.machine / "usr/local/bin" / program).symlink_to((BINARIES / program).resolve())
        path = [self.machine / "usr/local/bin", Path(sys.executable).parent, os.environ["PATH"]]
        self.variables = {
            "HOME": str(folder / "home"),
            "PATH": ":".join(map(str, path)),
            "TAP_WISTIA_API_TOKEN": TOKEN,
            "TAP_WISTIA_API_URL": account.url,
            "TAP_WISTIA_REQUESTS_PER_MINUTE": "1000000",
            "AWS_ENDPOINT_URL": s3.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
            **variables,
        }

    def here(self, text: str) -> str:
        """What a reader makes of what is printed."""
        return MACHINE.sub(f"{self.machine}/", text)

    def save(self, block: Block) -> Path:
        path = self.folder / self.here(block.marks["saved as"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.here(block.text))
        if block.text.startswith("#!"):
            path.chmod(0o755)
        return path

    def type(self, command: str) -> Run:
        """Types a command into a shell that remembers folder and variables. Answer and log are on one screen."""
        before = self.shell.read_text() if self.shell.exists() else f"cd {shlex.quote(str(self.folder))}\n"
        remember = f'{{ declare -px; printf "cd %q\\n" "$PWD"; }} > {shlex.quote(str(self.shell))}'
        typed = self.here(command).replace("…", TOKEN)
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{before}\nset -a\n{typed}\ncode=$?\nset +a\n{remember}\nexit $code"],
            env=environment(self.variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE,
        )
        return Run(done.returncode, done.stdout, "")

    def work_through(self, page: str, test: str | None = None) -> list[str]:
        """Types a page from its beginning to its end, with what is left to this test; what could not be typed here,
        and what it needs."""
        left_out = []
        for block in blocks(page):
            if "saved as" in block.marks:
                self.save(block)
            elif block.language not in TYPED or "not run" in block.marks or block.marks.get("run by", test) != test:
                continue
            elif missing := block.missing():
                left_out.append(f"{block.place} needs {', '.join(missing)}")
            else:
                for command, printed in block.commands():
                    done = self.type(command)
                    assert done.code == 0, f"{block.place}: {command}exit code {done.code}\n{done.out[-4000:]}"
                    said = f"{block.place}: {command}does not answer\n{printed}\nbut\n{done.out[-6000:]}"
                    assert not printed or looks_like(printed, done.out), said
        return left_out

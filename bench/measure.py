"""What a program costs, seen from outside: time, CPU, memory, and every byte that it writes.

Bytes are counted by the kernel (`wchar` of /proc/PID/io: all that the program gave to write calls), the temporary
files by looking at them while they are open, because they have no name. What is left is what the destination got.
Keep large libraries out of the process that measures: until a child runs its own program, it counts as the child's.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARIES = Path(os.environ.get("BINARIES", ROOT / "target" / "release"))
TARGET = BINARIES / "target-s3-parquet"
FOLDER = Path(os.environ.get("BENCH_FOLDER", ROOT / "target" / "bench"))
"""Where inputs and lakes are made."""
LOOKS_A_SECOND = 50


@dataclass
class Cost:
    """Of one run. Sizes are in MB; what the system does not tell is None."""

    seconds: float
    cpu: float
    peak: float
    read: float | None = None
    """Beside its input: what it has written itself and reads again is in it."""
    written: float | None = None
    temporary: float | None = None
    failure: str | None = None
    """Why it did not do what was asked, in a line."""


class Watch(threading.Thread):
    """Looks at the temporary files that a process has open, how large each has been at most, and ends it if it takes
    more memory in MB than it may."""

    def __init__(self, pid, folder, most):
        super().__init__(daemon=True)
        self.pid, self.folder, self.most = pid, str(folder), most
        self.exceeded = False
        self.sizes = {}
        self.done = threading.Event()
        self.start()

    def run(self):
        while not self.done.wait(1 / LOOKS_A_SECOND):
            with suppress(OSError):
                self.look()
                if self.most and self.memory() > self.most:
                    self.exceeded = True
                    os.kill(self.pid, signal.SIGKILL)

    def memory(self):
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    def look(self):
        for descriptor in os.scandir(f"/proc/{self.pid}/fd"):
            # Files are closed while we look.
            with suppress(OSError):
                if os.readlink(descriptor.path).startswith(self.folder):
                    found = os.stat(descriptor.path)
                    self.sizes[found.st_ino] = max(self.sizes.get(found.st_ino, 0), found.st_size)

    def stop(self):
        self.done.set()
        self.join()
        return sum(self.sizes.values())


def run(command, stdin=os.devnull, cores=None, env=None, limit=None, most=None):
    """Runs a program with a file as its input, on so many cores, for no longer than a limit in seconds and with no more
    memory than so many MB."""
    temporary = FOLDER.absolute() / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    out, log = FOLDER / "out", FOLDER / "log"
    if cores:
        command = ["taskset", "--cpu-list", f"0-{cores - 1}", *command]
    variables = {**os.environ, "TMPDIR": str(temporary), **(env or {})}
    with open(stdin, "rb") as given, open(out, "wb") as printed, open(log, "wb") as logged:
        started = time.monotonic()
        process = subprocess.Popen([*map(str, command)], stdin=given, stdout=printed, stderr=logged, env=variables)
        # After the limit the process is ended, and so is the wait for it.
        limited = threading.Timer(limit or 10**6, process.kill)
        limited.start()
        try:
            watch = Watch(process.pid, temporary, most) if sys.platform == "linux" else None
            # While its parent has not taken note of its end, the system still tells of it.
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
            seconds = time.monotonic() - started
            spilled = watch.stop() if watch else None
            counts = kernel_counts(process.pid)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            limited.cancel()
    said = out.stat().st_size + log.stat().st_size
    unit = 1024 if sys.platform == "linux" else 1
    cost = Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit / 1e6)
    if counts:
        cost.read = (counts["rchar"] - Path(stdin).stat().st_size) / 1e6
        cost.written, cost.temporary = (counts["wchar"] - spilled - said) / 1e6, spilled / 1e6
    if process.returncode:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] or [""]
        cost.failure = f"exit code {process.returncode}: {last[0][:200]}"
        if limit and seconds >= limit:
            cost.failure = f"not done in {limit} s"
        if watch and watch.exceeded:
            cost.failure = f"more than {most:,.0f} MB of memory"
    return cost


def kernel_counts(pid):
    """Bytes that a process was given by read calls and gave to write calls; none where the system does not count."""
    try:
        fields = (line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
        return {name: int(value) for name, value in fields}
    except OSError:
        return {}


def succeeded(cost):
    assert not cost.failure, f"{cost.failure}\n{(FOLDER / 'log').read_text(errors='replace')[-2000:]}"
    return cost


def size(lake):
    """The bytes of a lake's tables in MB, and in how many files they are."""
    files = [path for path in Path(lake).rglob("*.parquet") if "_lake" not in path.relative_to(lake).parts]
    return sum(path.stat().st_size for path in files) / 1e6, len(files)


def made(script, path, *arguments):
    """The file that a script of this folder writes, made once: its last argument is the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        part = path.with_name(path.name + ".part")
        subprocess.run([sys.executable, ROOT / "bench" / script, *map(str, arguments), part], check=True)
        part.rename(path)
    return path


def made_by_printing(script, path, *arguments):
    """The file of what a script of this folder prints, made once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        part = path.with_name(path.name + ".part")
        with open(part, "wb") as out:
            subprocess.run([sys.executable, ROOT / "bench" / script, *map(str, arguments)], stdout=out, check=True)
        part.rename(path)
    return path

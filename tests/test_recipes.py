"""What README.md and docs/ tell people to type is typed: in a clean folder, in its order, as it is printed."""

import ast
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness import DEADLINE, ROOT, TOKEN
from recipes import MARKS, READ, TYPED, Desk, blocks, looks_like

PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))]
ACCOUNT = {"seed": 21, "medias": 4, "events": 60, "days": 300}
SHOWN = {"README.md": ({"today": "2026-11-27"}, {"TAP_WISTIA_START_DATE": "2024-11-27"})}
"""Pages that show what there was on a day in another account, which is that of `make run`, and their variables."""


def typed_here(block):
    return block.language in TYPED and not {"saved as", "run by", "not run"} & set(block.marks)


@pytest.fixture
def desk(simulator, s3, tmp_path):
    """Makes a desk for an account, with the bucket that the pages name."""

    def make(account=ACCOUNT, variables=None):
        s3.bucket("your-bucket")
        return Desk(tmp_path, simulator(**account), s3, **variables or {})

    return make


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_run_or_says_why_not(page):
    for block in blocks(page):
        assert block.language, f"{block.place}: a block without a language"
        known = block.language in TYPED | READ or set(block.marks) & MARKS
        assert known, f"{block.place}: neither run nor read, and no mark says why"
        assert len(set(block.marks) - {"needs"}) <= 1, f"{block.place}: {', '.join(block.marks)}"
        for name in re.findall(r"\btest_\w+\.py", block.marks.get("not run", "")):
            assert (ROOT / "tests" / name).is_file(), f"{block.place}: there is no {name}"
        if test := block.marks.get("run by"):
            assert Path(page).name in (ROOT / test).read_text(), f"{block.place}: {test} does not read the page"


@pytest.mark.parametrize("page", [page for page in PAGES if any(map(typed_here, blocks(page)))])
def test_what_a_page_tells_to_type_works(page, desk):
    left_out = desk(*SHOWN.get(page, ())).work_through(page)
    if left_out:
        missing = "; ".join(left_out)
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)


def test_an_answer_is_compared_in_its_shape():
    answer = "reading\n  table      rows\n  dim_media  25\n  other  4\ndone in 1 second\n"
    assert looks_like("  table  rows\n  dim_media  7\n…\ndone in 12 seconds", answer)
    assert not looks_like("  table  rows\n  dim_visitors  7\n…", answer)
    assert not looks_like("  table  rows\n  other  7", answer)


@pytest.fixture
def server_room(desk):
    """A machine with the files of docs/shell.md."""
    made = desk()
    for block in blocks("docs/shell.md"):
        if "saved as" in block.marks:
            made.save(block)
    made.type("mkdir -p /var/lib/wistia && cp tap.json target.json /var/lib/wistia")
    return made


def test_the_script_goes_on_and_cron_has_nothing_to_mail(server_room):
    """With what cron gives to a command: a table's own variables, and no token from elsewhere."""
    *variables, entry = server_room.here((server_room.folder / "crontab").read_text()).splitlines()
    given = dict(line.replace("…", TOKEN).split("=", 1) for line in variables)
    given |= {name: server_room.variables[name] for name in ("HOME", "TAP_WISTIA_API_URL")}
    command = entry.split(maxsplit=5)[5]
    asked = []
    for _ in range(2):
        done = subprocess.run(["/bin/sh", "-c", command], env=given, capture_output=True, text=True, timeout=DEADLINE)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        asked.append(len(server_room.account.requests()))
        server_room.account.forget()
    assert 0 < asked[1] < asked[0]
    assert list((server_room.machine / "var/lib/wistia/lake/fact_events").rglob("*.parquet"))
    assert "fact_events" in (server_room.machine / "var/log/wistia.log").read_text()
    # What fails is the target alone, and the script fails with it.
    (server_room.machine / "var/lib/wistia/target.json").write_text("{}")
    assert server_room.type("wistia-sync").code == 1


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd to read its files")
def test_systemd_takes_the_service_and_its_timer(server_room):
    units = sorted((server_room.machine / "etc/systemd/system").iterdir())
    assert [unit.suffix for unit in units] == [".service", ".timer"]
    read = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units], capture_output=True, text=True
    )
    assert (read.returncode, read.stderr) == (0, "")


def test_airflow_gives_the_script_a_token_and_no_template(server_room):
    """Airflow itself is not here: what it is told is read from the file."""
    (call,) = (
        node
        for node in ast.walk(ast.parse((server_room.folder / "dags" / "wistia.py").read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "BashOperator"
    )
    given = {word.arg: word.value for word in call.keywords}
    command, variables = ast.literal_eval(given["bash_command"]), ast.literal_eval(given["env"])
    # A command that ends in `.sh` or `.bash` would be read as a file of Jinja, and so may others.
    assert command.endswith(" ") and Path(command.strip()).is_file()
    assert set(variables) == {"TAP_WISTIA_API_TOKEN"} and ast.literal_eval(given["append_env"])

"""What the builder of the page refuses, with file and line, and how a question is added."""

import shutil
import subprocess

import pytest

from conftest import build
from harness import ROOT

VENDOR = ROOT / "report" / "vendor"
HEAD = "---\ntitle: A question\n---\n\n"
BLOCK = "```sql days\nselect distinct day as date, 1 as plays\nfrom video_performance_daily\nlimit 5\n```\n\n"


@pytest.fixture
def page(site, tmp_path):
    """Builds a page of its text."""

    def make(text, **more):
        (tmp_path / "pages").mkdir(exist_ok=True)
        (tmp_path / "pages" / "question.md").write_text(text)
        places = ["--lake", tmp_path, "--marts", site.marts, "--pages", tmp_path / "pages", "--out", tmp_path / "out"]
        return build(*places, **more)

    return make


WRONG = {
    (HEAD + "```sql days\nselect day,\n    playz\nfrom video_performance_daily\n```\n", 7, 'column "playz" not found'),
    (HEAD + "```sql days\nselect 1\nfrom nowhere\n```\n", 7, "Table with name nowhere does not exist"),
    (HEAD + "```sql days\nselect from where\n```\n", 6, "syntax error"),
    (HEAD + "```sql\nselect 1\n```\n", 5, "a block is `sql NAME`"),
    (HEAD + "```figures days\n- {label: Plays, sum: plays}\n```\n", 5, "there is no block `sql days` above"),
    (
        HEAD + BLOCK + "```figures days\n- {label: Plays, sum: hours}\n```\n",
        11,
        "no column `hours`; it has date, plays",
    ),
    (HEAD + BLOCK + "```figures days\n- {label: Plays, sum: plays, format: euros}\n```\n", 11, "no format `euros`"),
    (HEAD + BLOCK + "```figures days\n- {sum: plays}\n```\n", 11, "a measure is a `label` and one of"),
    (HEAD + BLOCK + "```table days\ntitle: Days\nrows: 3\n```\n", 11, "`rows` is nothing that a table has"),
    (HEAD + BLOCK + "```table days\ntitle: [\n```\n", 11, "no YAML"),
    (HEAD + BLOCK + '```chart days\n{"title": "Days", "mark": "bar"}\n```\n', 11, "a chart has a `description`"),
    (
        HEAD + BLOCK + '```chart days\n{"title": "Days", "description": "d", "mark": "bar", '
        '"encoding": {"x": {"field": "day"}}}\n```\n',
        11,
        "no column `day`",
    ),
    (HEAD + "```sql days\nselect * from range(200000)\n```\n", 5, "more than 100,000 rows"),
    ("# A question\n", 1, "a page begins with `---`"),
    ("---\norder: 1\n---\n", 1, "the head has no `title`"),
    ("---\ntitle: A\nfilter: [dates]\n---\n", 1, "`filter` is nothing that a head has"),
    ("---\ntitle: A\nchoose: video\n---\n", 1, "`choose: video` wants a block `sql videos`"),
    ("---\ntitle: A\nfilters: [weather]\n---\n", 1, "there is no filter `weather`"),
}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    sorted(WRONG),
    ids=lambda value: value if isinstance(value, str) and len(value) < 60 else "",
)
def test_what_is_wrong_is_said_with_file_and_line(page, text, line, said, tmp_path):
    done = page(text)
    assert done.code == 1
    assert f"question.md:{line}: " in done.err and said in done.err, done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_all_that_is_wrong_is_said_at_once(page):
    done = page(HEAD + "```sql a\nselect x\n```\n\n```sql b\nselect y\n```\n")
    assert [line.split("question.md:")[1].split(":")[0] for line in done.err.splitlines()] == ["6", "10"]


def test_a_question_is_one_file(page, look, tmp_path):
    text = HEAD + BLOCK + "```figures days\n- {label: Days, distinct: date}\n```\n"
    page(text).succeeded()
    seen = look(tmp_path / "out" / "question.html").ready().fine()
    assert seen.figures() == {"Days": 5}
    assert seen.page.get_by_role("link", name="A question").get_attribute("aria-current") == "page"


def test_a_page_that_is_built_again_is_the_same(page, tmp_path):
    def built():
        page(HEAD + BLOCK, env={"SOURCE_DATE_EPOCH": "1782864000"}).succeeded()
        return (tmp_path / "out" / "question.html").read_bytes()

    first = built()
    assert built() == first and b"Built 2026-07-01 00:00 UTC" in first


def test_where_there_is_no_lake_it_says_so(tmp_path):
    done = build("--lake", tmp_path / "nowhere", "--out", tmp_path / "out")
    assert (done.code, done.err) == (
        1,
        f"error: there is no lake at {tmp_path}/nowhere; `make run` makes one in local/lake\n",
    )


def test_what_draws_the_page_is_made_of_the_locked_packages(tmp_path):
    modules = ROOT / "report" / "node_modules"
    if not shutil.which("npm") or not (modules / "vega").is_dir():
        pytest.skip("there is no npm: make report/node_modules/.ready")
    subprocess.run(["node", ROOT / "report" / "bundle.mjs", tmp_path], check=True)
    for made in tmp_path.iterdir():
        kept = ROOT / "dbt" / "seeds" / made.name if made.suffix == ".csv" else VENDOR / made.name
        assert made.read_bytes() == kept.read_bytes(), f"{made.name}: make report-vendor"


def test_licences_of_what_draws_the_page_go_along(site):
    said = (site.folder / "LICENCES.txt").read_text()
    for name in ("vega ", "vega-lite ", "d3-array ", "world-atlas ", "i18n-iso-countries "):
        assert f"\n{name}" in f"\n{said}"
    # None asks for more than its name.
    licences = {
        line.rsplit("(", 1)[1].rstrip(")")
        for line in said.splitlines()
        if line.endswith(")") and " (" in line and line[0].islower()
    }
    assert {"BSD-3-Clause", "ISC", "MIT"} <= licences

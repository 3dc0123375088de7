"""Each page looks as it did. `make report-pictures` keeps what is there now, also for README and docs."""

import os
import shutil

import duckdb
import pytest

from conftest import build
from harness import ROOT
from pictures import ACCEPT, KEPT, PICTURES, SHOWN, Different, compare, keep, taken

TODAY = "2026-07-01"
"""The day after the last of the demo."""
EPOCH = "1782864000"
"""That day, as when the page was built."""


@pytest.fixture(scope="module")
def dated(request, tmp_path_factory):
    """The page of a lake as it is on one day, from a lake of one name."""
    made = {}

    def site_of(lake):
        if lake not in made:
            folder = tmp_path_factory.mktemp(f"dated-{lake}")
            (folder / "lake").mkdir()
            site = request.getfixturevalue("site" if lake == "demo" else "empty_site")
            shutil.copy(site.marts, folder / "marts.duckdb")
            with duckdb.connect(str(folder / "marts.duckdb")) as connection:
                # Some tables have the day of the sync, which the tap takes from the machine.
                connection.execute(
                    f"update wistia.account_health set newest_day = least(newest_day, date '{TODAY}'), "
                    f"days_behind = greatest(date '{TODAY}' - newest_day, 0)"
                )
            flags = ["--lake", "lake", "--marts", "marts.duckdb", "--out", "page"]
            build(*flags, cwd=folder, env={"SOURCE_DATE_EPOCH": EPOCH}).succeeded()
            made[lake] = folder / "page"
        return made[lake]

    return site_of


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_page_looks_as_it_did(dated, look, picture):
    image = taken(look, dated(picture.lake), picture)
    if os.environ.get("UPDATE"):
        keep(picture, image)
    compare(picture, image)


def test_every_picture_that_is_kept_is_compared_and_every_one_of_docs_is_shown():
    assert {*KEPT.iterdir(), *SHOWN.glob("page_*.png")} == {picture.path for picture in PICTURES}
    texts = "".join(path.read_text() for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    assert [
        picture.name for picture in PICTURES if picture.is_shown and f"images/{picture.name}.png" not in texts
    ] == []


ONE = next(picture for picture in PICTURES if picture.name == "demo_index")
DAMAGES = {
    "a chart that is missing": ".chart:nth-of-type(2) .drawing { visibility: hidden }",
    "a block that has moved": ".figures { position: relative; left: 3px }",
    "another accent": ":root { --accent: #0b7a57 !important }",
    "a figure that is missing": ".figures div:last-child dd { visibility: hidden }",
    "a line more": ".note { display: block; height: 1.5em }",
}


@pytest.mark.parametrize("style", DAMAGES.values(), ids=DAMAGES)
def test_a_page_that_looks_otherwise_is_found(dated, look, style):
    with pytest.raises(Different, match=f"tests/report/pictures/demo_index.png .*{ACCEPT}"):
        compare(ONE, taken(look, dated("demo"), ONE, style))


SAME = ["main { filter: contrast(.98) }", ".figures { transform: translate(.2px, .1px) }"]


@pytest.mark.parametrize("style", SAME)
def test_a_page_whose_edges_are_smoothed_otherwise_is_the_same(dated, look, style):
    compare(ONE, taken(look, dated("demo"), ONE, style))

"""The page in a browser: figures against what is true of the account, filters, and what a reader needs."""

import re
import shutil
from datetime import date, timedelta

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe

import answers
from conftest import build
from harness import ROOT

PAGES = sorted(path.stem for path in (ROOT / "report" / "pages").glob("*.md"))
OPENED = [(lake, name) for lake in ("demo-light", "empty-light") for name in PAGES]
OPENED += [("demo-dark", "index"), ("demo-dark", "regions")]


@pytest.fixture
def shaped(request, look):
    """Opens a page of one of the lakes, in light or dark."""

    def open_page(shape, name):
        lake, scheme = shape.split("-")
        site = request.getfixturevalue("site" if lake == "demo" else "empty_site")
        return look(site.folder / f"{name}.html", color_scheme=scheme).ready()

    return open_page


@pytest.mark.parametrize(("shape", "name"), OPENED)
def test_a_page_asks_for_nothing_complains_of_nothing_and_is_accessible(shaped, shape, name):
    seen = shaped(shape, name).fine()
    found = Axe().run(seen.page).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"], one["nodes"][0]["failureSummary"]) for one in found] == []
    # Nothing is wider than the page.
    for width in (1200, 360):
        seen.page.set_viewport_size({"width": width, "height": 900})
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
    seen.fine()


def test_what_would_be_asked_of_another_machine_is_seen_and_is_forbidden(site, look, tmp_path):
    """The tests above can fail: without its policy a page that was tampered with asks; with it, it complains."""
    text = (site.folder / "health.html").read_text()
    tampered = text.replace("</main>", '<img alt="" src="https://example.com/a.png"></main>')
    assert tampered != text
    (tmp_path / "forbidden.html").write_text(tampered)
    (tmp_path / "open.html").write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", tampered))
    forbidden, opened = look(tmp_path / "forbidden.html").ready(), look(tmp_path / "open.html").ready()
    assert forbidden.foreign == [] and "Content Security Policy" in forbidden.complaints[0]
    assert opened.foreign == ["https://example.com/a.png"]


def test_a_page_without_a_label_is_found(site, look, tmp_path):
    text = (site.folder / "index.html").read_text()
    (tmp_path / "mute.html").write_text(text.replace('<label for="project">Project</label>', ""))
    found = Axe().run(look(tmp_path / "mute.html").ready().page).response["violations"]
    assert "select-name" in {one["id"] for one in found}


def test_titles_are_texts_whatever_is_in_them(site, look, tmp_path):
    nasty = "</script><script>document.title='had'</script><!--<script>&amp;\"'"
    marts = tmp_path / "marts.duckdb"
    shutil.copy(site.marts, marts)
    with duckdb.connect(str(marts)) as connection:
        connection.execute("update wistia.videos set media = $1, project = $1", [nasty])
        connection.execute("update wistia.video_performance_daily set media = $1", [nasty])
    build("--lake", tmp_path, "--out", tmp_path / "page", "--marts", marts).succeeded()
    seen = look(tmp_path / "page" / "index.html").ready().fine()
    assert seen.page.title() == "Overview – videos"
    assert seen.table("Videos that are watched most")[0][0] == nasty
    assert seen.options("project") == [nasty]


class Account:
    """The true figures of the account, for what is chosen."""

    def __init__(self, demo):
        self.truth = demo.truth
        self.projects = {
            media["hashed_id"]: (media["project"] or {}).get("name") or "in no project"
            for media in demo.truth("dim_media")
        }
        shown = answers.channels(demo.truth)
        self.channels = {media: shown[media] or {"in no channel"} for media in self.projects}

    def fits(self, media, project=None, channel=None):
        if project and self.projects.get(media, "unknown") != project:
            return False
        return not channel or channel in self.channels.get(media, ())

    def days(self, from_="", to="9", **chosen):
        return [
            row
            for row in self.truth("fact_engagements_byday")
            if from_ <= row["date"] <= to and self.fits(row["media_id"], **chosen)
        ]

    def views(self, from_="", to="9", **chosen):
        """By whole months."""
        return [
            row
            for row in self.truth("fact_events")
            if from_[:7] <= row["received_at"][:7] <= to and self.fits(row["media_id"], **chosen)
        ]


@pytest.fixture(scope="module")
def account(demo):
    return Account(demo)


def overview(rows):
    plays, loads = (sum(row[name] for row in rows) for name in ("play_count", "load_count"))
    return {
        "Plays": plays,
        "Loads": loads,
        "Plays for each load": plays / loads,
        "Hours watched": sum(row["hours_watched"] for row in rows),
    }


def shows(seen, expected):
    shown = seen.figures()
    assert {label: shown[label] for label in expected} == pytest.approx(expected, rel=1e-6)


def test_the_overview_is_true_by_each_filter(site, look, account):
    seen = look(site.folder / "index.html").ready()
    shows(seen, overview(account.days()))
    # As DuckDB has them, and as they are read.
    with duckdb.connect(str(site.marts), read_only=True) as connection:
        (plays,) = connection.execute("select sum(plays) from wistia.video_performance_daily").fetchone()
    assert seen.page.locator(".figures dd").first.inner_text() == f"{plays:,}"
    measured = sum(row["played_time"] or 0 for row in account.truth("fact_media_timeseries")) / 3600
    assert seen.figures()["Hours measured"] == pytest.approx(measured, rel=1e-5)
    assert set(seen.options("project")) == set(account.projects.values()) | {"Marketing"}
    for project in seen.options("project"):
        rows = account.days(project=project)
        shows(seen.choose(project=project), overview(rows))
    seen.choose(project="")
    for channel in seen.options("channel"):
        shows(seen.choose(channel=channel), overview(account.days(channel=channel)))
    seen.choose(channel="")
    for days in ("28", "90", "365"):
        first = str(date(2026, 6, 30) - timedelta(days=int(days) - 1))
        shows(seen.choose(period=days), overview(account.days(from_=first)))
        assert seen.page.locator("#from").input_value() == first
    shows(
        seen.choose(from_="2025-02-03", to="2025-03-04", project="Support"),
        overview(account.days("2025-02-03", "2025-03-04", project="Support")),
    )
    assert seen.page.locator("#said").inner_text() == "Shown: 2025-02-03 to 2025-03-04, project Support."
    # What is chosen goes along, and is taken back.
    seen.page.get_by_role("link", name="Regions").click()
    seen.ready()
    assert seen.page.locator("#project").input_value() == "Support"
    assert seen.figures()["Views"] == len(account.views("2025-02-03", "2025-03", project="Support"))
    assert "Counted by whole months." in seen.page.locator(".note:visible").first.inner_text()
    seen.page.get_by_role("button", name="Show everything").click()
    seen.ready()
    assert seen.figures()["Views"] == len(account.views())
    seen.fine()


def test_the_videos_that_are_watched_most_are_true(site, look, account):
    seen = look(site.folder / "index.html").ready()
    hours = {}
    for row in account.days():
        hours[row["media_id"]] = hours.get(row["media_id"], 0) + row["hours_watched"]
    titles = answers.names(account.truth)
    best = sorted(hours, key=lambda media: -hours[media])[:10]
    assert [row[:3:2] for row in seen.table("Videos that are watched most")] == [
        [titles[media], f"{hours[media]:,.1f}"] for media in best
    ]


def test_each_video_is_true(site, look, account, demo):
    seen = look(site.folder / "video.html").ready()
    titles = answers.names(account.truth)
    with_days = {row["media_id"] for row in account.days()}
    assert set(seen.options("video")) == with_days
    for media in seen.options("video")[:8]:
        seen.choose(video=media)
        shows(seen, overview([row for row in account.days() if row["media_id"] == media]))
        assert " ".join(titles[media].split()) in seen.page.locator("#said").inner_text()
        views = [row for row in account.views() if row["media_id"] == media]
        countries = {}
        for row in views:
            countries[row["country"]] = countries.get(row["country"], 0) + 1
        assert [row[1] for row in seen.table("Countries")] == [
            str(count) for count in sorted(countries.values(), reverse=True)
        ]
        pages = {(row["embed_url"] or "").split("?")[0].split("#")[0] for row in views} - {""}
        assert {row[0] for row in seen.table("Pages that embed it")} <= pages
    # The curve of the one that is watched most.
    true = answers.drop_off(demo.truth)
    (most,) = (media for media, title in titles.items() if title == true[0]["media"])
    seen.choose(video=most)
    seen.page.locator("details").first.locator("summary").click()
    rows = seen.page.get_by_role("table", name="How many still watch").evaluate(
        """table => {
            const heads = [...table.tHead.rows[0].cells].map(cell => cell.textContent);
            const named = row => Object.fromEntries([...row.cells].map((cell, at) => [heads[at], cell.textContent]));
            return [...table.tBodies[0].rows].map(named);
        }"""
    )
    assert [row["watching"] for row in rows[:-1]] == [f"{part['watching']:,}" for part in true]
    # Only videos of the project can be chosen.
    seen.choose(project="Support")
    assert set(seen.options("video")) == {media for media in with_days if account.projects[media] == "Support"}
    assert seen.page.get_by_text("Not narrowed").count() == 0
    seen.fine()


def test_regions_are_true(site, look, account):
    seen = look(site.folder / "regions.html").ready()

    def check(**chosen):
        views = account.views(**chosen)
        counted = {}
        for row in views:
            counted[row["country"] or "unknown"] = counted.get(row["country"] or "unknown", 0) + 1
        shows(
            seen,
            {
                "Views": len(views),
                "Countries": len(counted),
                "Mean part watched": answers.mean(row["percent_viewed"] for row in views),
                "Views by known people": sum(row["email"] for row in views),
                "Conversions": sum(row["conversion_type"] is not None for row in views),
            },
        )
        assert [row[1] for row in seen.table("Countries")] == [f"{n:,}" for n in sorted(counted.values(), reverse=True)]
        # Each of them is on the map.
        drawn = seen.page.locator(".drawing path[aria-label*=views]")
        assert drawn.count() == len(set(counted) - {"unknown"})
        assert any(f"views: {counted['US']}" in (path.get_attribute("aria-label") or "") for path in drawn.all())

    check()
    seen.choose(channel="Academy")
    check(channel="Academy")
    seen.choose(project="Support")
    check(channel="Academy", project="Support")
    seen.fine()


def test_channels_are_those_of_the_answers(site, look, demo):
    seen = look(site.folder / "channels.html", "#from=2026-01-01").ready()

    def rows(question, name):
        true = sorted(answers.ANSWERS[question](demo.truth), key=lambda row: -row["hours_watched"])
        return [[row[name], f"{row['hours_watched']:,.1f}", f"{row['plays']:,}"] for row in true]

    shown = [[row[0], row[1], row[-1]] for row in seen.table("Channels")]
    assert shown == rows("watch_time_by_channel", "channel")
    assert seen.table("Tags") == rows("watch_time_by_tag", "tag_name")
    seen.choose(channel="YouTube")
    assert [row[0] for row in seen.table("Channels")] == ["YouTube"]
    assert "Not narrowed by channel." in seen.page.locator(".table .note").last.inner_text()
    seen.fine()


def test_visitors_are_true(site, look, demo):
    seen = look(site.folder / "visitors.html").ready()
    views = demo.truth("fact_events")
    visitors = {}
    for row in views:
        visitors.setdefault(row["visitor_key"], []).append(row)
    shown = seen.figures()
    assert shown["Visitors"] == len(visitors)
    assert shown["Views of each"] == pytest.approx(len(views) / len(visitors), rel=1e-6)
    known = sum(any(row["email"] for row in rows) for rows in visitors.values())
    assert shown["With a known address"] == pytest.approx(known / len(visitors), rel=1e-6)
    # Those of a month are those that were first seen in it.
    first = [min(row["received_at"] for row in rows)[:7] for rows in visitors.values()]
    seen.choose(from_="2025-03-01", to="2025-04-30")
    assert seen.figures()["Visitors"] == first.count("2025-03") + first.count("2025-04")
    # Nobody is named.
    text = seen.page.content()
    assert not any(key in text for key in visitors)
    seen.fine()


def test_health_says_what_there_is_and_what_is_not(site, empty_site, look, demo):
    rows = {row[0]: row for row in look(site.folder / "health.html").ready().table("Tables")}
    assert rows["fact_events"][1:4] == ["yes", f"{len(demo.truth('fact_events')):,}", "2026-06-30"]
    rows = {row[0]: row for row in look(empty_site.folder / "health.html").ready().table("Tables")}
    assert rows["bridge_media_channel"][1] == "no"
    assert 'in the catalog of the tap, "selected": true' in rows["bridge_media_channel"][-1]


def test_an_empty_page_says_what_it_needs(empty_site, look):
    seen = look(empty_site.folder / "channels.html").ready()
    said = seen.page.get_by_role("note").inner_text()
    assert "The lake is empty." in said and "bridge_media_channel is not in the lake" in said
    assert seen.page.get_by_text("There are no rows yet.").count() == 5


def test_the_keyboard_is_enough(site, look, account):
    seen = look(site.folder / "index.html").ready()
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.textContent") == "To the figures"
    seen.page.keyboard.press("Enter")
    assert seen.page.evaluate("document.activeElement.id") == "main"
    reached = []
    for _ in range(25):
        seen.page.keyboard.press("Tab")
        reached.append(seen.page.evaluate("document.activeElement.id || document.activeElement.tagName"))
        if reached[-1] == "project":
            break
    assert {"period", "from", "to", "project"} <= set(reached)
    seen.page.keyboard.type("Supp")
    seen.page.keyboard.press("Enter")
    seen.ready()
    if seen.page.locator("#project").input_value() != "Support":
        seen.page.keyboard.press("Enter")
        seen.ready()
    shows(seen, overview(account.days(project="Support")))


def test_light_and_dark_are_chosen_and_kept(site, look):
    seen = look(site.folder / "index.html", color_scheme="light").ready()

    def paper():
        return seen.page.evaluate("getComputedStyle(document.body).backgroundColor")

    light = paper()
    button = seen.page.get_by_role("button", name="Dark")
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    seen.ready()
    assert paper() != light and button.get_attribute("aria-pressed") == "true"
    dark = paper()
    seen.page.reload()
    seen.ready()
    assert paper() == dark
    # The charts too.
    assert dark in seen.page.locator(".drawing svg").first.get_attribute("style")


def test_paper_has_figures_and_no_controls(site, look):
    seen = look(site.folder / "index.html", color_scheme="dark").ready()
    seen.page.emulate_media(media="print")
    assert not seen.page.locator("#filters").is_visible()
    assert seen.page.locator(".figures dd").first.is_visible()
    assert seen.page.locator("#said").is_visible()
    assert seen.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert seen.page.pdf().count(b"/Type /Page\n") <= 3


def test_a_chart_is_a_table_too(site, look, account):
    seen = look(site.folder / "index.html").ready()
    seen.page.locator("details").nth(1).locator("summary").click()
    rows = seen.page.get_by_role("table", name="Hours watched by project").evaluate(
        "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
    )
    hours = {}
    for row in account.days():
        project = account.projects[row["media_id"]]
        hours[project] = hours.get(project, 0) + row["hours_watched"]
    assert dict(rows) == {project: f"{value:,.1f}" for project, value in hours.items()}
    assert seen.page.locator(".drawing").first.get_attribute("aria-label").startswith("A line of the plays")

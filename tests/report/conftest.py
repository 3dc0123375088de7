"""Builds the page of lakes as `make report` does, and opens it in a browser."""

import os
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import sync_playwright

from harness import ROOT, environment, run
from marts import PATIENCE

CHROMIUM = ROOT / ".venv-chromium" / "chromium"
FONTS = ROOT / "tests" / "report" / "fonts.conf"
PYTHON = ROOT / ".venv-dbt" / "bin" / "python"


def build(*flags, **more):
    """The builder of the page."""
    assert PYTHON.exists(), "there is no builder: make .venv-dbt/.ready"
    return run(PYTHON, ROOT / "report" / "build.py", *flags, timeout=PATIENCE, **more)


@dataclass
class Site:
    """The pages of a lake, and the marts that they were made of."""

    folder: object
    marts: object

    @property
    def pages(self):
        return sorted(self.folder.glob("*.html"))


def site_of(folder, lake):
    build("--lake", lake, "--out", folder / "page").succeeded()
    return Site(folder / "page", folder / "page.work" / "marts.duckdb")


@pytest.fixture(scope="session")
def site(demo, tmp_path_factory):
    """The page of the demo's lake."""
    return site_of(tmp_path_factory.mktemp("site"), demo.lake)


@pytest.fixture(scope="session")
def empty_site(tmp_path_factory):
    """The page of a lake in which there is nothing."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "lake").mkdir()
    return site_of(folder, folder / "lake")


@pytest.fixture(scope="session")
def browser():
    """Chromium, as Debian has it, that writes and draws alike on each machine."""
    if not (CHROMIUM.exists() and (CHROMIUM.parent / "fonts").is_dir()):
        missing = "there is no Chromium, or no font for it: `make .venv-chromium/.ready` could not fetch it"
        # Nobody looks at what a CI skips.
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(CHROMIUM),
            # Without root it may use the sandbox of its own, which containers often forbid.
            args=["--no-sandbox", "--lang=en-US", "--font-render-hinting=none", "--disable-lcd-text", "--disable-gpu"],
            env=environment({"FONTCONFIG_FILE": str(FONTS), "LANG": "C.UTF-8"}),
        )
        yield started
        started.close()


@dataclass
class Seen:
    """An open page, with what it asked for and complained of."""

    page: object
    foreign: list = field(default_factory=list)
    complaints: list = field(default_factory=list)

    def ready(self):
        self.page.wait_for_selector("body[data-ready=yes]")
        return self

    def fine(self):
        assert (self.foreign, self.complaints) == ([], [])
        return self

    def choose(self, **filters):
        """What a reader sets, one control after the other."""
        for name, value in filters.items():
            control = self.page.locator(f"#{name.rstrip('_')}")
            if name in ("from_", "to"):
                control.fill(value)
                control.dispatch_event("change")
            else:
                control.select_option(value)
            self.ready()
        return self

    def figures(self):
        """The labels of the figures, with their values."""
        boxes = self.page.locator(".figures div")
        found = {}
        for place in range(boxes.count()):
            value = boxes.nth(place).locator("dd").get_attribute("data-value")
            found[boxes.nth(place).locator("dt").inner_text()] = float(value) if value else None
        return found

    def table(self, title):
        """The rows of a table, as they are shown."""
        return self.page.get_by_role("table", name=title, exact=True).evaluate(
            "table => [...table.tBodies[0].rows].map(row => [...row.cells].map(cell => cell.textContent))"
        )

    def options(self, name):
        return [
            value
            for value in self.page.locator(f"#{name} option").evaluate_all("all => all.map(o => o.value)")
            if value
        ]


@pytest.fixture
def look(browser):
    """Opens pages, each in a window of its own."""
    opened = []

    def open_page(path, hash_="", **how):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}, **how})
        opened.append(context)
        seen = Seen(context.new_page())
        # Of a machine that does much else.
        seen.page.set_default_timeout(200_000)

        def judge(route):
            if route.request.url.startswith(("file:", "data:", "blob:")):
                route.continue_()
            else:
                seen.foreign.append(route.request.url)
                route.abort()

        context.route("**/*", judge)
        seen.page.on(
            "console", lambda said: seen.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.goto(path.as_uri() + hash_)
        return seen

    yield open_page
    for context in opened:
        context.close()

"""Takes the pictures of the page for README and docs, of the lake of docs/querying.md: `make report-pictures`."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from demo import Demo  # noqa: E402

PICTURES = {
    "page_overview": ("index.html", "light", 1000),
    "page_video": ("video.html", "dark", 1000),
    "page_regions": ("regions.html", "light", 860),
}
"""A picture: which page, light or dark, and how high it is."""


def main():
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        demo = Demo(folder)
        demo.stop()
        # The page names the lake as it was given.
        command = [ROOT / ".venv-report/bin/python", ROOT / "report/build.py", "--lake", "lake", "--out", "page"]
        subprocess.run(command, cwd=folder, check=True)
        browser = playwright.chromium.launch(
            executable_path=str(ROOT / ".venv-chromium" / "chromium"), args=["--no-sandbox"], env={**os.environ}
        )
        for picture, (page, scheme, height) in PICTURES.items():
            window = browser.new_page(viewport={"width": 1200, "height": height}, color_scheme=scheme)
            window.goto((folder / "page" / page).as_uri())
            window.wait_for_selector("body[data-ready=yes]")
            window.screenshot(path=str(ROOT / "docs" / "images" / f"{picture}.png"))
        browser.close()


if __name__ == "__main__":
    main()

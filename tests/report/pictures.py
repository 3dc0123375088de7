"""Pictures of the page, and whether one is as it was kept."""

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image
from pixelmatch.contrib.PIL import pixelmatch

from harness import ROOT

SHOWN = ROOT / "docs" / "images"
"""Those that README and docs show."""
KEPT = ROOT / "tests" / "report" / "pictures"
DIFFERENT = ROOT / "target" / "pictures"
"""Where a picture that differs is written."""
ACCEPT = "make report-pictures"

NEAR = 0.1
"""How far colours may be from one another, of 1: https://github.com/mapbox/pixelmatch#api"""
SHARE = 0.0002
"""The share of pixels that may be others. Edges that were smoothed otherwise are not counted."""
COLOURS = 255
"""Of a picture that only tests look at, and that is so a third as large."""


@dataclass(frozen=True)
class Picture:
    """What is to be seen: a page of a lake, in light or dark."""

    name: str
    lake: str
    page: str
    scheme: str = "light"
    size: tuple[int, int | None] = (800, None)
    """Width and height; without one the whole page."""

    @property
    def is_shown(self):
        return self.name.startswith("page_")

    @property
    def path(self):
        return (SHOWN if self.is_shown else KEPT) / f"{self.name}.png"


PICTURES = [
    Picture("page_overview", "demo", "index", size=(1200, 1000)),
    Picture("page_video", "demo", "video", "dark", size=(1200, 1000)),
    Picture("page_regions", "demo", "regions", size=(1200, 860)),
    *(
        Picture(f"demo_{page}", "demo", page)
        for page in ("index", "video", "regions", "channels", "visitors", "health")
    ),
    *(Picture(f"demo_{page}_dark", "demo", page, "dark") for page in ("index", "regions")),
    *(Picture(f"empty_{page}", "empty", page) for page in ("index", "health")),
]


class Different(AssertionError):
    """A picture is not what was kept."""


def taken(look, folder, picture, style=""):
    """The picture as it is now. What else it could depend on is the same on each machine."""
    width, height = picture.size
    seen = look(
        folder / f"{picture.page}.html",
        viewport={"width": width, "height": height or 900},
        color_scheme=picture.scheme,
        device_scale_factor=1,
        reduced_motion="reduce",
        locale="en-US",
        timezone_id="UTC",
        # A page takes no style but its own.
        bypass_csp=bool(style),
    ).ready()
    shot = seen.page.screenshot(full_page=height is None, animations="disabled", caret="hide", style=style)
    return Image.open(BytesIO(shot)).convert("RGB")


def fewer_colours(picture, image):
    """The picture as it is kept."""
    return image if picture.is_shown else image.quantize(COLOURS, dither=Image.Dither.NONE)


def keep(picture, image):
    """Takes it for the true one."""
    picture.path.parent.mkdir(exist_ok=True)
    fewer_colours(picture, image).save(picture.path, optimize=True)


def compare(picture, image):
    """Whether it is what was kept; where not, it is written with what differs."""
    image = fewer_colours(picture, image).convert("RGB")
    if not picture.path.exists():
        raise Different(f"{place(picture.path)} is not there; {ACCEPT} makes it")
    kept = Image.open(picture.path).convert("RGB")
    # Quicker than to look at each pixel.
    if (kept.size, kept.tobytes()) == (image.size, image.tobytes()):
        return
    written = DIFFERENT / picture.path.name
    if kept.size != image.size:
        said = f"has {image.width} × {image.height} pixels, and had {kept.width} × {kept.height}"
        difference = None
    else:
        difference = Image.new("RGBA", image.size)
        share = pixelmatch(kept, image, difference, threshold=NEAR) / (image.width * image.height)
        if share <= SHARE:
            return
        said = f"differs in {share:.2%} of its pixels, and may in {SHARE:.2%}"
    DIFFERENT.mkdir(parents=True, exist_ok=True)
    image.save(written)
    where = f"Now: {place(written)}"
    if difference:
        difference.save(written.with_suffix(".difference.png"))
        where += f", in red what differs: {place(written.with_suffix('.difference.png'))}"
    raise Different(f"{place(picture.path)} {said}. {where}. Is it meant? {ACCEPT} keeps the new one.")


def place(path: Path):
    return os.path.relpath(path, ROOT)

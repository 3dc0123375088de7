"""Prints the section of CHANGELOG.md that belongs to a version: the text of its release."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"


def section(text, version):
    found = re.search(rf"^## \[{re.escape(version)}\].*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE)
    body = found.group(1).strip() if found else ""
    if not body:
        sys.exit(f"CHANGELOG.md has no section for {version}")
    return body


if __name__ == "__main__":
    print(section(CHANGELOG.read_text(), sys.argv[1].removeprefix("v")))

"""Writes the policy of the page into deploy/cloudformation/page.yaml, so that CloudFront serves what the page has.

With --check nothing is written, and what is out of date is an error.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "deploy" / "cloudformation" / "page.yaml"

sys.path.insert(0, str(ROOT / "report"))

from site_files import drawn_by, policy_of  # noqa: E402


def main():
    now = TEMPLATE.read_text()
    line = f'ContentSecurityPolicy: "{policy_of(*drawn_by())}"'
    wanted, found = re.subn(r'(?<=\n      )ContentSecurityPolicy: ".*"', lambda _: line, now)
    if found != 1:
        sys.exit(f"error: {TEMPLATE} has {found} places for the policy of the page")
    if wanted == now:
        return
    if "--check" in sys.argv:
        sys.exit(f"error: the policy in {TEMPLATE.relative_to(ROOT)} is not the page's; write it again: make generate")
    TEMPLATE.write_text(wanted)


if __name__ == "__main__":
    main()

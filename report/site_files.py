"""Writes the pages, each of which is one file that asks for nothing else."""

import base64
import hashlib
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import jinja2

HERE = Path(__file__).resolve().parent


def inside(text):
    """JSON as it can stand in a page."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def script(name):
    # The end of a script is the first that looks like it, and what looks like a comment hides it.
    return (HERE / name).read_text().replace("</script", "<\\/script").replace("<!--", "<\\!--")


def digest(text):
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def drawn_by():
    """The style and the scripts of every page."""
    return (HERE / "page.css").read_text(), [script(name) for name in ("vendor/vega.js", "rows.js", "page.js")]


def policy_of(style, scripts):
    """What a page may do: these scripts run and nothing else, and no other machine is asked."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(map(digest, scripts))}",
            f"style-src {digest(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def missing(page, tables):
    """The tables that a page needs, and that have no rows."""
    return [table for table in tables if table["table_name"] in page.needs and not table["row_count"]]


def built():
    """When the page is built, or is said to be: https://reproducible-builds.org/specs/source-date-epoch/"""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    return (datetime.fromtimestamp(int(said), UTC) if said else datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")


def write_site(out, pages, tables, days, lake):
    """Writes all pages; the first of them."""
    out.mkdir(parents=True, exist_ok=True)
    pages = sorted(pages, key=lambda page: (page.order, page.name))
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.get_template("template.html")
    style, scripts = drawn_by()
    policy = policy_of(style, scripts)
    newest = max((str(table["newest_day"]) for table in tables if table["newest_day"]), default=None)
    for page in pages:
        data = {
            "answers": {name: answer.packed() for name, answer in page.answers.items()},
            "blocks": page.blocks,
            "filters": page.filters,
            "choose": page.choose,
            "slices": page.slices,
            "days": days,
        }
        text = template.render(
            page=page,
            pages=pages,
            policy=policy,
            style=jinja2.utils.markupsafe.Markup(style),
            scripts=[jinja2.utils.markupsafe.Markup(one) for one in scripts],
            body=jinja2.utils.markupsafe.Markup(page.html),
            data=jinja2.utils.markupsafe.Markup(inside(json.dumps(data, ensure_ascii=False, separators=(",", ":")))),
            world=jinja2.utils.markupsafe.Markup((HERE / "vendor" / "world.json").read_text())
            if page.uses_world
            else None,
            missing=missing(page, tables),
            is_empty=not any(table["row_count"] for table in tables),
            lake=lake,
            newest=newest,
            built=built(),
        )
        (out / f"{page.name}.html").write_text(text)
    (out / "LICENCES.txt").write_text((HERE / "vendor" / "LICENCES.txt").read_text())
    return out / f"{pages[0].name}.html"

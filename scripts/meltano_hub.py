"""Puts the two plugins into a checkout of Meltano Hub, ready for a pull request there: meltano_hub.py HUB

HUB is a clone of https://github.com/meltano/hub. Definitions are written new each time, in the order that the Hub's
linter asks for; what lists variants and maintainers gets a line of ours where it has none. Nobody's default variant
is taken over.
"""

import argparse
import re
import shutil
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
VARIANT = "tap-wistia"
PLUGINS = {"extractors": ("tap-wistia", "wistia"), "loaders": ("target-s3-parquet", "s3-parquet")}
PLACEHOLDER = "hub-utils/other_scripts/placeholder.png"
"""The logo of a plugin that has none."""


def in_order(value):
    """The same with the keys of every object in order."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value)}
    return [in_order(item) for item in value] if isinstance(value, list) else value


def definition(kind, plugin, logo):
    """The plugin as the Hub has it."""
    own = yaml.safe_load((ROOT / "meltano" / kind / f"{plugin}.yml").read_text())
    own |= {"logo_url": f"/assets/logos/{kind}/{logo}.png", "quality": "unknown"}
    return yaml.safe_dump(in_order(own), allow_unicode=True, width=160)


def with_default(text, kind, plugin):
    """The list of default variants with a line for the plugin, unless it has one."""
    head, block, rest = re.fullmatch(rf"(.*^{kind}:\n)((?:  [^\n]*\n)+)(.*)", text, re.M | re.S).groups()
    lines = block.splitlines(keepends=True)
    names = [line.strip().split(":")[0] for line in lines]
    if plugin in names:
        return text
    at = sum(name < plugin for name in names)
    return "".join([head, *lines[:at], f"  {plugin}: {VARIANT}\n", *lines[at:], rest])


def with_maintainer(text):
    """The list of maintainers with us in it."""
    entries = re.split(r"(?m)^(?=\S)", text)
    ours = f"{VARIANT}:\n  label: {VARIANT}\n  name: {VARIANT}\n  url: https://github.com/{VARIANT}\n"
    names = [entry.split(":")[0] for entry in entries]
    if VARIANT in names:
        return text
    at = sum(name < VARIANT for name in names)
    return "".join([*entries[:at], ours, *entries[at:]])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("hub", type=Path, help="folder of the clone")
    hub = parser.parse_args().hub
    defaults, maintainers = hub / "_data" / "default_variants.yml", hub / "_data" / "maintainers.yml"
    for kind, (plugin, logo) in PLUGINS.items():
        place = hub / "_data" / "meltano" / kind / plugin / f"{VARIANT}.yml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(definition(kind, plugin, logo))
        picture = hub / "static" / "assets" / "logos" / kind / f"{logo}.png"
        if not picture.exists():
            shutil.copy(hub / PLACEHOLDER, picture)
        defaults.write_text(with_default(defaults.read_text(), kind, plugin))
    maintainers.write_text(with_maintainer(maintainers.read_text()))


if __name__ == "__main__":
    main()

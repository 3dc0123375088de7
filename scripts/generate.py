"""Writes into the documentation, the Meltano definitions and Airbyte's tests what the programs say of themselves.

Files hold blocks between `generated: PROGRAM FORM` and `end of generated`; the rest of them is written by hand.
The specifications are whole files. With --check nothing is written, and what is out of date is an error.
"""

import argparse
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
BINARIES = Path(os.environ.get("BINARIES", ROOT / "target" / "debug"))
FILES = [
    "docs/configuration.md",
    "meltano/extractors/tap-wistia.yml",
    "meltano/loaders/target-s3-parquet.yml",
    "examples/meltano/meltano.yml",
]
SPECS = {
    "airbyte/source-wistia/integration_tests/spec.json": "tap-wistia",
    "airbyte/destination-s3-parquet/integration_tests/spec.json": "target-s3-parquet",
}
BLOCK = re.compile(
    r"(?P<open>^(?P<indent> *)(?:#|<!--) generated: (?P<program>\S+) (?P<form>\S+).*\n)"
    r"(?:.*\n)*?(?P<close> *(?:#|<!--) end of generated.*\n)",
    re.MULTILINE,
)
WORDS = {
    "api": "API",
    "arn": "ARN",
    "aws": "AWS",
    "id": "ID",
    "ids": "IDs",
    "kms": "KMS",
    "mb": "MB",
    "s3": "S3",
    "sse": "SSE",
    "url": "URL",
}
# Capabilities of the SDK that Meltano's project files do not know.
SDK_ONLY = {"validate-records"}
KINDS = {"array": "array", "boolean": "boolean", "integer": "integer", "number": "decimal", "object": "object"}


def about(program):
    done = subprocess.run([BINARIES / program, "--about", "--format=json"], check=True, capture_output=True)
    return json.loads(done.stdout)


def kinds_of(schema):
    kinds = schema.get("type", "object")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return [kind for kind in kinds if kind != "null"]


def settings_of(schema, prefix=""):
    """Every setting, those inside others by their dotted name."""
    for name, setting in schema["properties"].items():
        if "properties" in setting:
            yield from settings_of(setting, f"{prefix}{name}.")
        else:
            required = not prefix and name in schema.get("required", [])
            yield f"{prefix}{name}", setting, required


def label_of(name):
    words = re.split(r"[._]", name)
    return " ".join(WORDS.get(word, word.capitalize()) for word in words)


def meltano_setting(name, setting):
    """A setting as Meltano writes it."""
    described = {"name": name, "label": label_of(name)}
    choices = [choice for choice in setting.get("enum", []) if choice is not None]
    if choices:
        described["kind"] = "options"
        # A word that is not ours, such as `aws:kms`, stays as it is.
        described["options"] = [
            {"label": label_of(word) if re.fullmatch("[a-z_]+", word) else word, "value": word} for word in choices
        ]
    elif setting.get("format") == "date":
        described["kind"] = "date_iso8601"
    else:
        described["kind"] = KINDS.get(kinds_of(setting)[0], "string")
    if setting.get("secret"):
        described["sensitive"] = True
    if setting.get("default") not in (None, [], {}):
        described["value"] = setting["default"]
    described["description"] = setting["description"].replace("\n\n", " ")
    return described


def meltano(document):
    settings = list(settings_of(document["settings"]))
    required = [name for name, _, is_required in settings if is_required]
    definition = {
        "capabilities": [name for name in document["capabilities"] if name not in SDK_ONLY],
        "settings_group_validation": [required],
        "settings": [meltano_setting(name, setting) for name, setting, _ in settings],
    }
    return yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=110)


def cell(text):
    return text.replace("\n\n", " ").replace("|", "\\|")


def markdown(document):
    prefix = document["name"].replace("-", "_").upper()
    lines = ["| Setting, and its variable | Type | Default | What it does |", "|:--|:--|:--|:--|"]
    for name, setting, required in settings_of(document["settings"]):
        choices = [f"`{choice}`" for choice in setting.get("enum", []) if choice is not None]
        kind = "secret" if setting.get("secret") else ", ".join(choices) or " or ".join(kinds_of(setting))
        default = setting.get("default")
        default = "" if default in (None, [], {}) else f"`{json.dumps(default)}`".replace('"', "")
        variable = f"{prefix}_{name.replace('.', '__').upper()}"
        shown = [f"`{name}`<br>`{variable}`", kind, "required" if required else default]
        lines.append(f"| {' | '.join([*shown, cell(setting['description'])])} |")
    return "\n".join(lines) + "\n"


def usage(program):
    """What `--help` prints."""
    done = subprocess.run([BINARIES / program, "--help"], check=True, capture_output=True, text=True)
    lines = (line.rstrip() for line in done.stdout.rstrip().splitlines())
    return "\n".join(["```text", *lines, "```"]) + "\n"


FORMS = {
    "meltano": lambda program: meltano(about(program)),
    "settings": lambda program: markdown(about(program)),
    "usage": usage,
}


def filled(text):
    def fill(block):
        made = FORMS[block["form"]](block["program"])
        made = "".join(block["indent"] + line if line.strip() else line for line in made.splitlines(keepends=True))
        gap = "" if block["form"] == "meltano" else "\n"
        return block["open"] + gap + made + gap + block["close"]

    return BLOCK.sub(fill, text)


def specification(program):
    done = subprocess.run([BINARIES / program, "spec"], check=True, capture_output=True, text=True)
    (message,) = (message for message in map(json.loads, done.stdout.splitlines()) if message["type"] == "SPEC")
    return json.dumps(message["spec"], indent=2, ensure_ascii=False) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail where something is out of date")
    check = parser.parse_args().check
    made = {name: filled((ROOT / name).read_text()) for name in FILES}
    made |= {name: specification(program) for name, program in SPECS.items()}
    outdated = [name for name, text in made.items() if (ROOT / name).read_text() != text]
    if not check:
        for name in outdated:
            (ROOT / name).write_text(made[name])
    if check and outdated:
        sys.exit(f"out of date: {', '.join(outdated)}; run `make generate`")


if __name__ == "__main__":
    main()

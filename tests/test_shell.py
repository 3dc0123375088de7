"""At home in a shell: help, completions, man pages, suggestions, and what others read of the programs."""

import contextlib
import json
import os
import pty
import re
import subprocess
import sys

import pytest

from harness import ANSI, BINARIES, ROOT, TAP, TARGET, environment, run

PROGRAMS = {"tap-wistia": TAP, "target-s3-parquet": TARGET}
both = pytest.mark.parametrize("name", PROGRAMS)


@both
@pytest.mark.parametrize(("shell", "word"), [("bash", "complete -F"), ("zsh", "#compdef"), ("fish", "complete -c")])
def test_completions_name_every_flag(name, shell, word):
    text = run(PROGRAMS[name], "completions", shell).succeeded().out
    assert word in text
    for flag in ("config", "log-format", "log-level", "quiet", "about"):
        assert flag in text


@both
def test_bash_takes_the_completions(name, tmp_path):
    script = tmp_path / "completions"
    script.write_text(run(PROGRAMS[name], "completions", "bash").succeeded().out)
    function, words = f"_{name.replace('-', '__')}", f"{name} --conf {name}"
    program = (
        f"source {script}; COMP_WORDS=({name} --conf); COMP_CWORD=1; "
        f'{function} {words} 2>/dev/null || _{name} {words}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True)
    assert "--config" in done.stdout, done.stderr


@both
def test_the_man_page_has_flags_settings_and_exit_codes(name):
    page = run(PROGRAMS[name], "man").succeeded().out
    assert page.startswith(".ie") or ".TH" in page
    for word in (".TH", "SETTINGS", "EXIT STATUS", "\\-\\-config", "143"):
        assert word in page, word


@both
def test_help_has_examples_and_the_address_of_the_documentation(name):
    """What an example names is there, and none of it is out of date."""
    usage = run(PROGRAMS[name], "--help").succeeded().out
    examples = usage.split("Examples:\n")[1].split("\n\n")[0]
    assert examples.count(f"{name} ") >= 3
    flags = {word for line in examples.splitlines() for word in line.split() if word.startswith("--")}
    known = "".join(run(program, "--help").succeeded().out for program in PROGRAMS.values())
    assert flags and all(f"{flag} " in known or f"{flag}[" in known or f"{flag}\n" in known for flag in flags), flags
    assert re.search(r"^Documentation: https://\S+$", usage, re.MULTILINE)
    for flag in ("--quiet", "--log-level", "--log-format"):
        assert flag in run(PROGRAMS[name], "-h").succeeded().out


@both
@pytest.mark.parametrize(("flag", "meant"), [("--confg", "--config"), ("--abuot", "--about")])
def test_a_mistyped_flag_is_guessed(name, flag, meant):
    refused = run(PROGRAMS[name], flag)
    assert refused.code == 2 and meant in refused.err and "\x1b" not in refused.err


def test_a_mistyped_setting_is_guessed(tmp_path):
    (tmp_path / "c.json").write_text(
        json.dumps({"destination": str(tmp_path / "lake"), "compresion": "zstd", "s3": {"regoin": "x"}})
    )
    warned = run(TARGET, "--config", tmp_path / "c.json").succeeded().err
    assert "`compresion`" in warned and "`compression`" in warned and "`region`" in warned
    assert not ANSI.search(warned)


def all_of(terminal):
    """What a terminal shows, to its end: it may come in several pieces."""
    shown = b""
    with contextlib.suppress(OSError):  # Linux says so where nobody writes to it any more.
        while piece := os.read(terminal, 4096):
            shown += piece
    return shown.decode()


@both
@pytest.mark.parametrize(("variables", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colours_are_for_terminals_that_want_them(name, variables, coloured, tmp_path):
    ours, theirs = pty.openpty()
    environ = environment({"TERM": "xterm", **variables})
    subprocess.run([PROGRAMS[name], "--nonsense"], stderr=theirs, stdout=subprocess.DEVNULL, env=environ)
    os.close(theirs)
    shown = all_of(ours)
    os.close(ours)
    assert "unexpected argument" in ANSI.sub("", shown)
    assert bool(ANSI.search(shown)) == coloured


SECRETS = {
    "tap-wistia": {"api_token", "personal_data_salt"},
    "target-s3-parquet": {
        "catalog.rest.credential",
        "catalog.rest.token",
        "s3.access_key_id",
        "s3.secret_access_key",
        "s3.session_token",
    },
}


def marked(settings, mark, inside=""):
    """The settings that have this mark."""
    for name, setting in settings.get("properties", {}).items():
        if setting.get(mark):
            yield f"{inside}{name}"
        yield from marked(setting, mark, f"{inside}{name}.")


@both
def test_about_has_the_structure_of_the_sdk(name):
    about = json.loads(run(PROGRAMS[name], "--about", "--format=JSON").succeeded().out)
    assert list(about) == [
        "name",
        "description",
        "version",
        "sdk_version",
        "supported_python_versions",
        "capabilities",
        "settings",
    ]
    assert about["name"] == name
    assert {"about", "stream-maps", "schema-flattening", "structured-logging"} <= set(about["capabilities"])
    settings = about["settings"]
    assert settings["type"] == "object"
    for setting, schema in settings["properties"].items():
        assert schema.get("description"), setting
        assert "oneOf" not in schema, f"{setting}: choices are an enum"
    assert set(marked(settings, "secret")) == set(marked(settings, "writeOnly")) == SECRETS[name]
    text = run(PROGRAMS[name], "--about").succeeded().out
    assert text.splitlines()[0] == f"Name: {name}"
    assert run(PROGRAMS[name], "--version").succeeded().out.strip() == f"{name} {about['version']}"


def test_the_tap_tries_as_the_sdk_does(tmp_path):
    """`--test=schema` needs no request; a form of `--test` that there is not is refused."""
    (tmp_path / "tap.json").write_text('{"api_token": "any", "api_url": "http://127.0.0.1:9/v1"}')
    tried = run(TAP, "--config", tmp_path / "tap.json", "--test=schema").succeeded()
    assert {message["type"] for message in tried.messages} == {"SCHEMA"}
    assert run(TAP, "--config", tmp_path / "tap.json", "--test=everything").code == 2


def test_documents_made_from_the_programs_are_up_to_date():
    """`make generate` writes them."""
    subprocess.run(
        [sys.executable, ROOT / "scripts" / "generate.py", "--check"],
        check=True,
        env=environment({"BINARIES": str(BINARIES)}),
    )

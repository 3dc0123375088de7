"""A page: a Markdown file with blocks of SQL, and blocks that show what they answer."""

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import yaml
from markdown_it import MarkdownIt

from answer import Answer
from blocks import SHOWN
from lake_marts import slices_of

MOST_ROWS = 100_000
"""Rows of a block. More make a page of many megabytes."""
FILTERS = ("dates", "project", "channel")


class PageError(Exception):
    """What is wrong with a page, each with its file and line."""

    def __init__(self, lines):
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass
class Page:
    """A page that is ready to be written."""

    name: str
    title: str
    order: int
    needs: list
    filters: list
    choose: bool
    html: str
    answers: dict
    slices: list
    uses_world: bool
    blocks: list = field(default_factory=list)


def head_of(place, text):
    """What stands between the lines of `---`, and the number of lines that it takes."""
    found = re.match(r"---\n(.*?\n)---\n", text, re.DOTALL)
    if not found:
        raise PageError([f"{place}:1: a page begins with `---`, its title, and `---`"])
    try:
        head = yaml.safe_load(found[1])
    except yaml.YAMLError as problem:
        raise PageError([f"{place}:1: the head is no YAML: {' '.join(str(problem).split())}"]) from problem
    wrong = [f"{place}:1: the head has no `title`"] if not (isinstance(head, dict) and head.get("title")) else []
    if not wrong:
        known = {"title", "order", "needs", "filters", "choose"}
        wrong += [f"{place}:1: `{name}` is nothing that a head has" for name in head if name not in known]
        wrong += [f"{place}:1: there is no filter `{name}`" for name in head.get("filters", []) if name not in FILTERS]
        if head.get("choose") not in (None, "video"):
            wrong.append(f"{place}:1: `choose` can be `video` alone")
    if wrong:
        raise PageError(wrong)
    return head, found[0].count("\n")


def line_of(problem):
    """The line of a query that DuckDB complains of, from 1."""
    found = re.search(r"^LINE (\d+):", str(problem), re.MULTILINE)
    return int(found[1]) if found else 1


def asked(place, line, query, connection):
    """What a block of SQL answers."""
    try:
        found = connection.execute(query)
        names = [column[0] for column in found.description]
        kinds = [str(column[1]) for column in found.description]
        rows = found.fetchmany(MOST_ROWS + 1)
    except duckdb.Error as problem:
        said = str(problem).split("\n\nLINE ")[0].strip()
        raise PageError([f"{place}:{line + line_of(problem)}: {' '.join(said.split())}"]) from problem
    if len(rows) > MOST_ROWS:
        raise PageError([f"{place}:{line}: more than {MOST_ROWS:,} rows; group them, or take the newest months"])
    return Answer(names, kinds, rows)


def read_page(path: Path, connection):
    """A file as a page; all that is wrong with it at once."""
    text = path.read_text()
    # As one would type it from here.
    near = os.path.relpath(path)
    place = str(path) if near.startswith("..") else near
    head, skipped = head_of(place, text)
    # The lines keep their numbers.
    markdown = MarkdownIt("commonmark").enable("table")
    body = "\n" * skipped + text.split("\n---\n", 1)[1]
    answers, problems, blocks = {}, [], []

    def show(tokens, index, _options, _env):
        token = tokens[index]
        words = token.info.split()
        # The first line of what is in the block is the one after its fence.
        line = token.map[0] + 1
        kind, name = (*words, None, None)[:2]
        if kind == "sql" and name:
            try:
                answers[name] = asked(place, line, token.content, connection)
            except PageError as problem:
                problems.extend(problem.lines)
                answers[name] = None
            return ""
        if kind in SHOWN:
            if name not in answers:
                problems.append(f"{place}:{line}: there is no block `sql {name}` above")
            elif answers[name] is not None:
                try:
                    block = SHOWN[kind](f"block-{len(blocks)}", name, token.content, answers[name])
                    blocks.append(block.described())
                    return block.html()
                except ValueError as problem:
                    problems.append(f"{place}:{line}: {problem}")
            return ""
        problems.append(f"{place}:{line}: a block is `sql NAME`, or one of {', '.join(SHOWN)} with the name of one")
        return ""

    markdown.add_render_rule("fence", lambda _renderer, *rest: show(*rest))
    html = markdown.render(body)
    videos = answers.get("videos")
    if head.get("choose") and not (videos and {"media_id", "media"} <= set(videos.names)):
        problems.append(f"{place}:1: `choose: video` wants a block `sql videos` with media_id and media")
    if problems:
        raise PageError(problems)
    return Page(
        name=path.stem,
        title=head["title"],
        order=head.get("order", 100),
        needs=head.get("needs", []),
        filters=head.get("filters", list(FILTERS)),
        choose=head.get("choose") == "video",
        html=html,
        answers={name: answer for name, answer in answers.items() if answer},
        slices=slices_of(connection),
        uses_world=any('"world"' in json.dumps(block) for block in blocks),
        blocks=blocks,
    )

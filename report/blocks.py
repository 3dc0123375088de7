"""The blocks of a page that show something: figures, tables and charts."""

import html

import yaml

FORMATS = {"integer", "number", "percent", "text", "date"}
MEASURES = {"sum", "ratio", "distinct", "max", "min"}


def read(text, kind):
    """What is in a block: YAML, of which JSON is a part."""
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(f"no YAML: {' '.join(str(problem).split())}") from problem
    if not isinstance(found, kind):
        raise ValueError(f"this has to be {'a list' if kind is list else 'an object'}")
    return found


def check_columns(names, answer):
    for name in names:
        if name not in answer.names:
            raise ValueError(f"the answer has no column `{name}`; it has {', '.join(answer.names)}")


def check_measure(measure, answer):
    """A measure: a label, and what is made of the rows that are left by the filters."""
    kinds = MEASURES & set(measure)
    if len(kinds) != 1 or not measure.get("label"):
        raise ValueError(f"a measure is a `label` and one of {', '.join(sorted(MEASURES))}: {measure}")
    if measure.get("format", "integer") not in FORMATS:
        raise ValueError(f"there is no format `{measure['format']}`, but {', '.join(sorted(FORMATS))}")
    of = measure[kinds.pop()]
    check_columns(of if isinstance(of, list) else [of], answer)


def named_in(specification, keys):
    """The texts under some keys, wherever they stand: columns that are made or used."""
    if isinstance(specification, list):
        for part in specification:
            yield from named_in(part, keys)
    elif isinstance(specification, dict):
        for key, value in specification.items():
            if key in keys:
                yield from (name for name in (value if isinstance(value, list) else [value]) if isinstance(name, str))
            yield from named_in(value, keys)


class Block:
    """What a fence becomes."""

    def __init__(self, place, data, text, answer):
        self.place, self.data = place, data
        self.content = self.read(text, answer)

    def described(self):
        return {"id": self.place, "kind": self.KIND, "data": self.data, "content": self.content}


class Figures(Block):
    """A few figures, each with its label."""

    KIND = "figures"

    def read(self, text, answer):
        found = read(text, list)
        for measure in found:
            check_measure(measure, answer)
        return found

    def html(self):
        return f'<dl class="figures" id="{self.place}"></dl>\n<p class="note" id="{self.place}-note" hidden></p>\n'


class Table(Block):
    """Rows as they are (`columns`), or by some of their columns (`by`) with `measures`."""

    KIND = "table"
    KNOWN = {"title", "columns", "by", "measures", "limit", "sort"}

    def read(self, text, answer):
        found = read(text, dict)
        if not found.get("title"):
            raise ValueError("a table has a `title`")
        if unknown := set(found) - self.KNOWN:
            raise ValueError(f"`{unknown.pop()}` is nothing that a table has; it has {', '.join(sorted(self.KNOWN))}")
        if ("by" in found) == ("columns" in found):
            raise ValueError("a table has `columns`, or `by` and `measures`")
        for column in found.get("columns", []) + found.get("by", []):
            check_columns([column["column"]], answer)
        for measure in found.get("measures", []):
            check_measure(measure, answer)
        return found

    def html(self):
        title = html.escape(self.content["title"])
        return (
            f'<div class="table">\n<h2 class="title" id="{self.place}-title">{title}</h2>\n'
            f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{self.place}-title" id="{self.place}">'
            f'</div>\n<p class="note" id="{self.place}-note" hidden></p>\n</div>\n'
        )


class Chart(Block):
    """A chart: a specification of Vega-Lite without its data, which are the rows of the answer."""

    KIND = "chart"

    def read(self, text, answer):
        found = read(text, dict)
        for name in ("title", "description"):
            if not isinstance(found.get(name), str):
                raise ValueError(f"a chart has a `{name}`, which is read aloud")
        rows = found.get("usermeta", {})
        for measure in rows.get("measures", []):
            check_measure(measure, answer)
        check_columns(rows.get("by", []), answer)
        made = {measure["label"] for measure in rows.get("measures", [])} | set(named_in(found, {"as"}))
        used = set(named_in(found, {"field", "groupby"}))
        check_columns(sorted(used - made), answer)
        found.setdefault("data", {"name": "rows"})
        return found

    def html(self):
        title = html.escape(self.content["title"])
        return (
            f'<figure class="chart">\n<figcaption id="{self.place}-title">{title}</figcaption>\n'
            f'<div id="{self.place}" class="drawing"></div>\n<p class="note" id="{self.place}-note" hidden></p>\n'
            f'<details><summary>The same as a table<span class="hidden">: {title}</span></summary>'
            f'<div class="scroll" tabindex="0" role="region" aria-labelledby="{self.place}-title" '
            f'id="{self.place}-table"></div></details>\n</figure>\n'
        )


SHOWN = {block.KIND: block for block in (Figures, Table, Chart)}

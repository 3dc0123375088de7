"""The charts of docs/performance.md, each from the figures of one measurement."""

from matplotlib.ticker import FuncFormatter, NullLocator

from charts import COLOURS, canvas

LINES = [*COLOURS, "#cc79a7", "#e69f00", "#56b4e9", "#6e7781", "#000000"]
OURS, THEIRS = COLOURS[0], "#9aa4b1"
AGAINST = 3.6
"""Height of a chart with lines."""


def lines(title, x, y, series):
    """Lines over numbers that double; each with its name at its end or in the legend."""
    figure, axes = canvas(AGAINST)
    for colour, (name, points) in zip(LINES, series.items(), strict=False):
        points = sorted(point for point in points if point[1] is not None)
        axes.plot(*zip(*points, strict=True), "o-", color=colour, linewidth=2, markersize=4, label=name)
    ticks = sorted({at for points in series.values() for at, _ in points})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks)
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set_title(title)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.set_ylim(0)
    axes.grid(axis="y")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def by_load(result, value):
    series = {}
    for row in result["rows"]:
        series.setdefault(row["load"], []).append((row["rows"] / 1e6, value(row)))
    return series


def growth_time(result):
    """Level where the cost of a row does not grow with their number."""
    series = by_load(result, lambda row: row["seconds"] / row["rows"] * 1e6)
    return lines("Seconds for each million rows", "million rows", "seconds", series)


def growth_bytes(result):
    series = by_load(result, lambda row: row["amplification"])
    return lines("Bytes that the lake got for each byte of the table", "million rows", "", series)


def growth_memory(result):
    figure = lines("Peak memory", "million rows", "MB", by_load(result, lambda row: row["peak"]))
    (axes,) = figure.axes
    budget = result["settings"]["memory_mb"]
    axes.axhline(budget * 1.048576, color="#24292f", linewidth=1, linestyle="--")
    axes.annotate(f"memory_mb: {budget}", (0, budget * 1.048576), xycoords=("axes fraction", "data"), va="bottom")
    return figure


def cores_rate(result):
    """Of the first codec."""
    rows = [row for row in result["rows"] if row["codec"] == result["rows"][0]["codec"]]
    size = result["settings"]["input_mb"] / 1000
    names = {
        "append": "append",
        "upsert": "upsert",
        "DuckDB, in order": "ordered",
        "DuckDB, order given up": "unordered",
    }
    series = {name: [(row["cores"], size / row[key]["seconds"]) for row in rows] for name, key in names.items()}
    return lines(f"Input of 1 kB events, {rows[0]['codec']}", "cores", "GB a second", series)


def contenders(result, value, title, label):
    """A bar for each that did it, and a word for each that did not."""
    rows = result["rows"]
    found = [row.get(value) if row["outcome"] == "equal" else None for row in rows]
    figure, axes = canvas(0.9 + 0.32 * len(rows))
    colours = [OURS if row["who"].startswith("target-s3-parquet") else THEIRS for row in rows]
    bars = axes.barh([row["who"] for row in rows], [value or 0 for value in found], color=colours, height=0.68)
    texts = [
        row["outcome"].split(":")[0] if value is None else label(value) for row, value in zip(rows, found, strict=True)
    ]
    axes.bar_label(bars, texts, padding=4, color="#24292f")
    axes.invert_yaxis()
    axes.set_title(title)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.18)
    return figure


def night(result):
    settings = result["settings"]
    return f"{settings['night']:,} rows into {settings['rows']:,}"


def field_time(result):
    return contenders(result, "seconds", f"{night(result)}: seconds", "{:,.2f}".format)


def field_memory(result):
    return contenders(result, "peak", f"{night(result)}: peak memory, MB", "{:,.0f}".format)

"""The charts of docs/querying.md, each from the answer to one query."""

from datetime import date
from itertools import pairwise

import matplotlib
from matplotlib.dates import DateFormatter, DayLocator
from matplotlib.figure import Figure

matplotlib.rcParams.update(
    {
        "axes.edgecolor": "#c9ced6",
        "axes.labelcolor": "#57606a",
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlepad": 14,
        "axes.titlesize": 12,
        "axes.titleweight": "bold",
        "font.size": 10,
        "grid.color": "#e6e9ee",
        "svg.hashsalt": "querying",
        "text.color": "#24292f",
        "xtick.color": "#57606a",
        "ytick.color": "#57606a",
    }
)

COLOURS = ["#0072b2", "#d55e00", "#009e73"]
"""Told apart by everyone."""


def records(columns, rows):
    return [dict(zip(columns, row, strict=True)) for row in rows]


def canvas(height):
    figure = Figure(figsize=(8, height), facecolor="white", layout="constrained")
    return figure, figure.add_subplot()


def save(figure, path, source):
    """Writes a chart that is the same bytes each time, with what it was drawn from."""
    figure.savefig(path, metadata={"Date": None, "Creator": None, "Description": source})


def title_of(record):
    return " ".join(record["media"].split())


def trends(columns, rows):
    """Plays of seven days, for the videos that had most on the last day."""
    points = records(columns, rows)
    last = max(point["day_played"] for point in points)
    leaders = [point["media_id"] for point in points if point["day_played"] == last][: len(COLOURS)]
    figure, axes = canvas(3.8)
    for colour, media in zip(COLOURS, leaders, strict=False):
        line = sorted((point for point in points if point["media_id"] == media), key=lambda point: point["day_played"])
        days = [date.fromisoformat(point["day_played"]) for point in line]
        plays = [point["plays_of_7_days"] for point in line]
        axes.plot(days, plays, color=colour, linewidth=2, label=title_of(line[-1]))
        axes.plot(days[-1], plays[-1], "o", color=colour, markersize=5)
    axes.set_title("Plays in the seven days up to each day")
    axes.xaxis.set_major_locator(DayLocator(range(1, 32, 7)))
    axes.xaxis.set_major_formatter(DateFormatter("%-d %B"))
    axes.set_ylim(0)
    axes.margins(x=0.02)
    axes.grid(axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(COLOURS), frameon=False)
    return figure


def bars(labels, values, title, label):
    figure, axes = canvas(0.9 + 0.32 * len(labels))
    drawn = axes.barh(labels, values, color=COLOURS[0], height=0.68)
    axes.bar_label(drawn, [label(value) for value in values], padding=4, color="#24292f")
    axes.invert_yaxis()
    axes.set_title(title)
    axes.tick_params(axis="y", length=0)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.margins(x=0.12)
    return figure


def regions(columns, rows):
    found = records(columns, rows)
    names = (dict.fromkeys([place["visitor_region"], place["country"]]) for place in found)
    return bars(
        [", ".join(name) for name in names],
        [place["watched_count"] for place in found],
        "Views by region of the visitor, since January 2026",
        "{:,}".format,
    )


def channels(columns, rows):
    found = records(columns, rows)
    return bars(
        [channel["channel"] for channel in found],
        [channel["hours_watched"] for channel in found],
        "Hours watched by channel, since January 2026",
        "{:,.0f}".format,
    )


def drop_off(columns, rows):
    """How many still watch, with the parts in which most leave."""
    parts = records(columns, rows)
    figure, axes = canvas(3.8)
    seconds = [part["from_second"] for part in parts]
    share = [part["percent_watching"] for part in parts]
    axes.fill_between(seconds, share, color=COLOURS[0], alpha=0.12)
    axes.plot(seconds, share, color=COLOURS[0], linewidth=2)
    for start, end in pairwise(parts):
        if start["steepest"] <= 3:
            stretch = [start["from_second"], end["from_second"]]
            axes.plot(stretch, [start["percent_watching"], end["percent_watching"]], color=COLOURS[1], linewidth=3)
            axes.annotate(
                f"{start['lost']:,} leave",
                (sum(stretch) / 2, (start["percent_watching"] + end["percent_watching"]) / 2),
                xytext=(8, 4),
                textcoords="offset points",
                color=COLOURS[1],
            )
    axes.set_title(f"Who still watches “{title_of(parts[0])}”, and where most leave")
    axes.set_xlabel("second")
    axes.set_ylabel("% of those at the start")
    axes.set_ylim(0, 105)
    axes.set_xlim(0)
    axes.grid(axis="y")
    return figure

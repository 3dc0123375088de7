"""The charts of docs/querying.md, each from the answer to one query."""

import matplotlib
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

COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"]
"""Told apart by everyone."""


def records(columns, rows):
    return [dict(zip(columns, row)) for row in rows]


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
    figure, axes = canvas(3.6)
    for colour, media in zip(COLOURS, leaders):
        line = sorted((point for point in points if point["media_id"] == media), key=lambda point: point["day_played"])
        days = [point["day_played"][5:] for point in line]
        axes.plot(days, [point["plays_of_7_days"] for point in line], color=colour, linewidth=2)
        axes.annotate(
            title_of(line[-1]),
            (days[-1], line[-1]["plays_of_7_days"]),
            xytext=(8, 0),
            textcoords="offset points",
            color=colour,
            verticalalignment="center",
        )
    axes.set_title("Plays in the seven days up to each day of June 2026")
    axes.set_xticks(range(0, len(days), 7), [days[place] for place in range(0, len(days), 7)])
    axes.set_ylim(0)
    axes.grid(axis="y")
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
    labels = [f"{place['visitor_region']}, {place['country']}" if place["country"] != "unknown" else "unknown" for place in found]
    return bars(labels, [place["watched_count"] for place in found], "Views by region of the visitor, since January 2026", "{:,}".format)


def channels(columns, rows):
    found = records(columns, rows)
    return bars(
        [channel["channel"] for channel in found],
        [channel["hours_watched"] for channel in found],
        "Hours watched by channel, since January 2026",
        "{:,.0f}".format,
    )


def drop_off(columns, rows):
    """How many still watch, with the part where most leave."""
    parts = records(columns, rows)
    figure, axes = canvas(3.4)
    seconds = [part["from_second"] for part in parts]
    share = [part["percent_watching"] for part in parts]
    axes.fill_between(seconds, share, step="post", color=COLOURS[0], alpha=0.15)
    axes.step(seconds, share, where="post", color=COLOURS[0], linewidth=2)
    steepest = next(part for part in parts if part["steepest"] == 1)
    axes.plot(steepest["from_second"], steepest["percent_watching"], "o", color=COLOURS[1])
    axes.annotate(
        f"most leave after second {steepest['from_second']:.0f}: {steepest['lost']:,}",
        (steepest["from_second"], steepest["percent_watching"]),
        xytext=(10, 6),
        textcoords="offset points",
        color=COLOURS[1],
    )
    axes.set_title(f"Who still watches “{title_of(parts[0])}”")
    axes.set_xlabel("second")
    axes.set_ylabel("% of those at the start")
    axes.set_ylim(0, 105)
    axes.set_xlim(0)
    axes.grid(axis="y")
    return figure

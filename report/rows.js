// The rows of a page, how filters narrow them, and what is measured of them.
"use strict";
const report = (() => {
  const { answers, blocks, filters, choose, slices, days } = JSON.parse(document.getElementById("data").textContent);

  // --- rows ---------------------------------------------------------------------------------------------------------

  const unpack = ({ length, columns }) => {
    const rows = Array.from({ length }, () => ({}));
    for (const [name, column] of Object.entries(columns)) {
      const value = column.words ? (at) => column.words[column.at[at]] : (at) => column.values[at];
      for (let at = 0; at < length; at += 1) rows[at][name] = value(at);
    }
    const dates = Object.entries(columns)
      .filter(([, column]) => column.kind === "date")
      .map(([name]) => name);
    return { rows, names: Object.keys(columns), dates: new Set(dates) };
  };
  const data = Object.fromEntries(Object.entries(answers).map(([name, packed]) => [name, unpack(packed)]));
  const slice = new Map(slices.map((one) => [one.slice, one]));
  const dayOf = (text) => {
    const [year, month, day] = text.split("-").map(Number);
    return new Date(year, month - 1, day);
  };
  const textOf = (date) =>
    [date.getFullYear(), String(date.getMonth() + 1).padStart(2, "0"), String(date.getDate()).padStart(2, "0")].join(
      "-",
    );
  const monthEnd = (text) => {
    const day = dayOf(text);
    return textOf(new Date(day.getFullYear(), day.getMonth() + 1, 0));
  };
  const weekEnd = (text) => {
    const day = dayOf(text);
    return textOf(new Date(day.getFullYear(), day.getMonth(), day.getDate() + 6));
  };

  // The columns by which rows can be narrowed: a day, or the first day of a week or month that counts as a whole.
  const SPANS = { date: (text) => text, week: weekEnd, month: monthEnd };
  const spanOf = (names) => Object.keys(SPANS).find((name) => names.includes(name));
  const FITS = {
    dates: ({ names }, { from, to }) => {
      const column = spanOf(names);
      return column && ((row) => row[column] === null || (SPANS[column](row[column]) >= from && row[column] <= to));
    },
    project: ({ names }, { project }) => {
      if (names.includes("project")) return (row) => row.project === project;
      return names.includes("slice") && ((row) => slice.get(row.slice)?.project === project);
    },
    channel: ({ names }, { channel }) => {
      if (names.includes("channel")) return (row) => row.channel === channel;
      return names.includes("slice") && ((row) => slice.get(row.slice)?.channels.includes(channel));
    },
    video: ({ names }, { video }) => names.includes("media_id") && ((row) => row.media_id === video),
  };
  // What is chosen, and which of it is more than everything.
  const FIRST = days.first ?? "";
  const LAST = days.last ?? "";
  const everything = { from: FIRST, to: LAST, project: "", channel: "", video: "" };

  const active = (state) => {
    const chosen = [];
    if (filters.includes("dates") && (state.from !== FIRST || state.to !== LAST)) chosen.push("dates");
    if (filters.includes("project") && state.project) chosen.push("project");
    if (filters.includes("channel") && state.channel) chosen.push("channel");
    if (choose) chosen.push("video");
    return chosen;
  };
  const narrowed = (name, state) => {
    const fits = active(state)
      .map((filter) => FITS[filter](data[name], state))
      .filter(Boolean);
    return data[name].rows.filter((row) => fits.every((fit) => fit(row)));
  };
  const notNarrowed = (name, state) =>
    active(state)
      // A video that is chosen is of the project and channel that are chosen.
      .filter((filter) => filter === "dates" || !(choose && data[name].names.includes("media_id")))
      .filter((filter) => !FITS[filter](data[name], state));
  const wholeSpans = (name, state) => {
    const column = spanOf(data[name].names);
    return active(state).includes("dates") && column !== "date" ? column : null;
  };

  // --- measures -----------------------------------------------------------------------------------------------------

  const total = (rows, name) => rows.reduce((sum, row) => sum + (row[name] ?? 0), 0);
  const known = (rows, name) => rows.some((row) => row[name] !== null);
  const measured = (rows, measure) => {
    if (measure.ratio) {
      const [part, whole] = measure.ratio;
      return total(rows, whole) ? total(rows, part) / total(rows, whole) : null;
    }
    if (measure.distinct)
      return new Set(rows.map((row) => row[measure.distinct]).filter((value) => value !== null)).size;
    const name = measure.sum ?? measure.max ?? measure.min;
    if (!known(rows, name)) return null;
    if (measure.sum) return total(rows, name);
    const values = rows.map((row) => row[name]).filter((value) => value !== null);
    return values.reduce((one, other) => ((measure.max ? other > one : other < one) ? other : one));
  };
  const grouped = (rows, by, measures) => {
    const groups = new Map();
    for (const row of rows) {
      const key = JSON.stringify(by.map((name) => row[name]));
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    return [...groups.values()].map((group) => ({
      ...Object.fromEntries(by.map((name) => [name, group[0][name]])),
      ...Object.fromEntries(measures.map((measure) => [measure.label, measured(group, measure)])),
    }));
  };
  const number = (options) => {
    const format = new Intl.NumberFormat("en", options);
    return (value) => format.format(value);
  };
  const FORMATS = {
    integer: number({ maximumFractionDigits: 0 }),
    number: number({ minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    percent: number({ style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 }),
    text: String,
    date: String,
  };
  const shown = (value, format = "integer") => {
    if (value === null || value === undefined) return "–";
    return (typeof value === "number" ? FORMATS[format] : String)(value);
  };

  return {
    ...{ blocks, filters, choose, slices, data, FIRST, LAST, everything, active, FITS },
    ...{ dayOf, textOf, narrowed, notNarrowed, wholeSpans, measured, grouped, shown },
  };
})();

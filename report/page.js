// Shows the rows of a page as figures, tables and charts, and follows its reader. Charts are drawn by Vega-Lite.
"use strict";
(() => {
  const { blocks, filters, choose, slices, data, FIRST, LAST, everything, active, FITS } = report;
  const { dayOf, textOf, narrowed, notNarrowed, wholeSpans, measured, grouped, shown } = report;
  const world = document.getElementById("world");
  const WORLD = world && JSON.parse(world.textContent);
  // Rows of a table. The whole of it is in the lake.
  const MOST_SHOWN = 1500;
  const element = (name) => document.getElementById(name);

  // --- what is chosen -----------------------------------------------------------------------------------------------

  // The first day of the last so many; of everything where there is no number.
  const beginOf = (count) => {
    if (!count || !LAST) return FIRST;
    const day = dayOf(LAST);
    day.setDate(day.getDate() - Number(count) + 1);
    return textOf(day) > FIRST ? textOf(day) : FIRST;
  };
  const periodOf = ({ from, to }) => {
    const fixed = [...element("period").options].map((option) => option.value).filter((value) => value !== "own");
    return fixed.find((value) => to === LAST && from === beginOf(value)) ?? "own";
  };
  const isDay = (text) => /^\d{4}-\d\d-\d\d$/.test(text ?? "");
  const stored = () => {
    const found = new URLSearchParams(location.hash.slice(1));
    const state = { ...everything };
    for (const name of ["from", "to"]) if (isDay(found.get(name))) state[name] = found.get(name);
    for (const name of ["project", "channel", "video"]) if (found.get(name)) state[name] = found.get(name);
    return state;
  };
  const remember = (state) => {
    const changed = Object.entries(state).filter(([name, value]) => value && value !== everything[name]);
    const hash = new URLSearchParams(changed).toString();
    history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
    // What is chosen goes along to the other pages.
    for (const link of document.querySelectorAll("nav a"))
      link.href = link.getAttribute("href").split("#")[0] + (hash ? `#${hash}` : "");
  };

  const VIDEOS = choose ? data.videos : null;
  const fill = (select, options) => {
    for (const [value, label] of options) select.append(new Option(label, value));
  };
  const byName = (one, other) => one.localeCompare(other);
  const controls = () => ["from", "to", "project", "channel", "video"].map(element).filter(Boolean);
  const videosOf = (state) => {
    const { video, ...rest } = state;
    const fits = active(state)
      .filter((filter) => ["project", "channel"].includes(filter))
      .map((filter) => FITS[filter](VIDEOS, rest))
      .filter(Boolean);
    return VIDEOS.rows.filter((row) => fits.every((fit) => fit(row)));
  };
  const offerVideos = (state) => {
    if (!VIDEOS) return;
    const offered = videosOf(state);
    if (!offered.some((row) => row.media_id === state.video)) state.video = offered[0]?.media_id ?? "";
    const select = element("video");
    select.replaceChildren();
    fill(
      select,
      offered.map((row) => [row.media_id, row.media]),
    );
    select.value = state.video;
  };
  const say = (state) => {
    const words = [];
    if (filters.includes("dates") && FIRST) words.push(`${state.from} to ${state.to}`);
    if (state.project && filters.includes("project")) words.push(`project ${state.project}`);
    if (state.channel && filters.includes("channel")) words.push(`channel ${state.channel}`);
    if (VIDEOS && state.video)
      words.unshift(VIDEOS.rows.find((row) => row.media_id === state.video)?.media ?? state.video);
    element("said").textContent = words.length ? `Shown: ${words.join(", ")}.` : "";
  };

  // --- tables -------------------------------------------------------------------------------------------------------

  const make = (name, text, attributes = {}) => {
    const made = document.createElement(name);
    if (text !== undefined) made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const table = (caption, columns, rows) => {
    const made = make("table");
    made.append(make("caption", caption, { class: "hidden" }));
    const head = make("tr");
    for (const { label, right } of columns)
      head.append(make("th", label, { scope: "col", ...(right && { class: "right" }) }));
    const top = make("thead");
    top.append(head);
    const body = make("tbody");
    for (const row of rows) {
      const line = make("tr");
      for (const { value, format, right } of columns)
        line.append(make("td", shown(row[value], format), right ? { class: "right" } : {}));
      body.append(line);
    }
    made.append(top, body);
    return made;
  };
  // What a chart was drawn from, without what Vega-Lite adds for its own use.
  const plainColumns = (rows) =>
    Object.keys(rows[0] ?? {})
      .filter((name) => !/^__|_(start|end)$|^(media_id|slice)$/.test(name))
      .filter((name) => rows.every((row) => row[name] === null || typeof row[name] !== "object"))
      .map((name) => {
        const whole = rows.every((row) => typeof row[name] !== "number" || Number.isInteger(row[name]));
        return {
          label: name.replaceAll("_", " "),
          value: name,
          format: whole ? "integer" : "number",
          right: typeof rows[0][name] === "number",
        };
      });

  // --- what is shown ------------------------------------------------------------------------------------------------

  const SHOW = {
    figures: ({ id, content }, rows) => {
      const list = element(id);
      list.replaceChildren();
      for (const measure of content) {
        const value = measured(rows, measure);
        const box = make("div");
        box.append(make("dt", measure.label), make("dd", shown(value, measure.format), { "data-value": value ?? "" }));
        list.append(box);
      }
    },
    table: ({ id, content }, rows) => {
      const { by, measures = [], columns, limit = MOST_SHOWN, sort } = content;
      let found = by
        ? grouped(
            rows,
            by.map(({ column }) => column),
            measures,
          )
        : rows;
      const first = sort ?? measures[0]?.label;
      if (first) found = [...found].sort((one, other) => (other[first] ?? -Infinity) - (one[first] ?? -Infinity));
      const heads = [
        ...(by ?? columns).map(({ column, label, format }) => ({
          label: label ?? column,
          value: column,
          format,
          right: typeof found[0]?.[column] === "number",
        })),
        ...measures.map(({ label, format }) => ({ label, value: label, format, right: true })),
      ];
      element(id).replaceChildren(table(content.title, heads, found.slice(0, limit)));
    },
    chart: (block, rows) => draw(block, rows),
  };

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const config = () => {
    const [ink, faint, line, paper] = ["--ink", "--faint", "--line", "--paper"].map(color);
    const scheme = [1, 2, 3, 4, 5, 6].map((one) => color(`--series-${one}`));
    return {
      background: paper,
      font: "system-ui, sans-serif",
      view: { stroke: null },
      axis: {
        labelColor: faint,
        titleColor: faint,
        gridColor: line,
        domainColor: line,
        tickColor: line,
        labelFontSize: 12,
        titleFontSize: 12,
        titleFontWeight: "normal",
      },
      legend: { labelColor: ink, titleColor: faint, titleFontWeight: "normal" },
      mark: { color: scheme[0], tooltip: true },
      geoshape: { stroke: paper },
      range: { category: scheme, heatmap: [color("--low"), scheme[0]], ramp: [color("--low"), scheme[0]] },
    };
  };
  const hover = new charts.Handler({ disableDefaultStyle: true });
  const views = new Map();
  const withWorld = (specification) =>
    JSON.parse(JSON.stringify(specification), (key, value) =>
      key === "data" && value?.name === "world"
        ? { values: WORLD, format: { type: "topojson", feature: "countries" } }
        : value,
    );
  const forVega = (rows, dates) =>
    rows.map((row) => {
      const made = { ...row };
      for (const name of dates) if (made[name]) made[name] = dayOf(made[name]);
      return made;
    });
  // A height by steps fits only where the width does not: so it is made a number.
  const heightOf = ({ height = 240, encoding }, rows) =>
    height.step ? height.step * new Set(rows.map((row) => row[encoding?.y?.field])).size : height;
  const drawn = new Set();
  const draw = ({ id, data: name, content }, rows) => {
    const place = element(id);
    views.get(id)?.finalize();
    place.replaceChildren();
    element(`${id}-table`).replaceChildren();
    if (!rows.length) return;
    const { by, measures } = content.usermeta ?? {};
    const taken = by ? grouped(rows, by, measures) : rows;
    const { title, description, ...specification } = withWorld(content);
    const { spec } = charts.compile(
      {
        width: "container",
        ...specification,
        height: heightOf(specification, taken),
        autosize: { type: "fit-x", contains: "padding" },
        description,
        datasets: { rows: forVega(taken, data[name].dates) },
      },
      { config: config() },
    );
    // Expressions are read and not made into programs, which the policy of the page forbids.
    const view = new charts.View(charts.parse(spec, null, { ast: true }), {
      expr: charts.expressionInterpreter,
      renderer: "svg",
      container: place,
      hover: true,
      tooltip: hover.call,
      logLevel: charts.Warn,
    });
    views.set(id, view);
    const run = view
      .runAsync()
      .then(() => {
        const source = spec.marks.map((mark) => mark.from?.facet?.data ?? mark.from?.data).find(Boolean);
        const found = by ? taken : source && view.data(source);
        const readable = (found ?? [])
          .slice(0, MOST_SHOWN)
          .map((row) =>
            Object.fromEntries(
              Object.entries(row).map(([key, value]) => [key, value instanceof Date ? textOf(value) : value]),
            ),
          );
        element(`${id}-table`).append(table(title, plainColumns(readable), readable));
      })
      .finally(() => drawn.delete(run));
    drawn.add(run);
  };
  const note = ({ id, data: name }, rows, state) => {
    const said = [];
    if (!rows.length) said.push(data[name].rows.length ? "Nothing is left by the filters." : "There are no rows yet.");
    const open = notNarrowed(name, state);
    if (open.length && data[name].rows.length) said.push(`Not narrowed by ${open.join(" and ")}.`);
    const span = wholeSpans(name, state);
    if (span && !open.includes("dates")) said.push(`Counted by whole ${span}s.`);
    const place = element(`${id}-note`);
    place.textContent = said.join(" ");
    place.hidden = !said.length;
  };

  let state = stored();
  const show = async () => {
    document.body.dataset.ready = "";
    offerVideos(state);
    for (const control of controls()) control.value = state[control.id];
    if (element("period")) element("period").value = periodOf(state);
    if (element("said")) say(state);
    remember(state);
    for (const block of blocks) {
      const rows = narrowed(block.data, state);
      note(block, rows, state);
      SHOW[block.kind](block, rows);
    }
    await Promise.all([...drawn]);
    document.body.dataset.ready = "yes";
  };

  // --- the reader's hands -------------------------------------------------------------------------------------------

  const form = element("filters");
  const names = (list) => [...new Set(list)].sort(byName).map((name) => [name, name]);
  if (element("project")) fill(element("project"), names(slices.map((one) => one.project)));
  if (element("channel")) fill(element("channel"), names(slices.flatMap((one) => one.channels)));
  for (const control of form ? controls() : []) {
    if (control.type === "date") {
      control.min = FIRST;
      control.max = LAST;
    }
    control.addEventListener("change", () => {
      state = { ...state, [control.id]: control.value || everything[control.id] };
      show();
    });
  }
  element("period")?.addEventListener("change", (event) => {
    if (event.target.value === "own") return;
    state = { ...state, from: beginOf(event.target.value), to: LAST };
    show();
  });
  form?.addEventListener("submit", (event) => event.preventDefault());
  form?.addEventListener("reset", (event) => {
    event.preventDefault();
    state = { ...everything, video: state.video };
    show();
  });
  window.addEventListener("hashchange", () => {
    state = stored();
    show();
  });

  const theme = element("theme");
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const kept = () => {
    try {
      return localStorage.getItem("theme");
    } catch {
      return null;
    }
  };
  const dress = (name) => {
    if (name) document.documentElement.dataset.theme = name;
    theme.setAttribute("aria-pressed", String((name ?? (dark.matches ? "dark" : "light")) === "dark"));
  };
  theme.addEventListener("click", () => {
    const name = theme.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    try {
      localStorage.setItem("theme", name);
    } catch {
      /* A page from a file may not keep anything. */
    }
    dress(name);
    show();
  });
  dark.addEventListener("change", () => {
    dress(kept());
    show();
  });
  dress(kept());
  show();
})();

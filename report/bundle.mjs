// Makes what the page is drawn with: `make report-vendor`. [FOLDER] takes the files instead of vendor.
import { build } from "esbuild";
import { readFileSync, writeFileSync, existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);
const here = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(here, "vendor");

const entry = `
export { parse, View, Warn } from "vega";
export { compile } from "vega-lite";
export { expressionInterpreter } from "vega-interpreter";
export { Handler } from "vega-tooltip";
`;
const made = await build({
  stdin: { contents: entry, resolveDir: here },
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "charts",
  target: "es2022",
  charset: "ascii",
  legalComments: "none",
  metafile: true,
  write: false,
  logLevel: "warning",
});
writeFileSync(join(out, "vega.js"), made.outputFiles[0].contents);

// The world without its names, which the marts have.
const world = JSON.parse(readFileSync(require.resolve("world-atlas/countries-50m.json"), "utf8"));
const { countries } = world.objects;
for (const shape of countries.geometries) delete shape.properties;
writeFileSync(join(out, "world.json"), `${JSON.stringify({ ...world, objects: { countries } })}\n`);

// The seed of the dbt project by which two letters become a name and a place on the map.
const iso = require("i18n-iso-countries");
const cell = (text) => (/[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
const rows = Object.keys(iso.getAlpha2Codes())
  .sort()
  .map((code) => [code, iso.alpha2ToNumeric(code), iso.getName(code, "en")]);
const table = [["country", "country_number", "country_name"], ...rows].map((row) => row.map(cell).join(","));
writeFileSync(
  process.argv[2] ? join(out, "country_names.csv") : join(here, "../dbt/seeds/country_names.csv"),
  `${table.join("\n")}\n`,
);

// The licences of all that is in it.
const folders = new Set(["node_modules/world-atlas", "node_modules/i18n-iso-countries"]);
for (const input of Object.keys(made.metafile.inputs)) {
  const found = input.match(/^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//);
  if (found) folders.add(found[1]);
}
const texts = [...folders].sort().map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
  const file = readdirSync(join(here, folder)).find((one) => /^licen[cs]e/i.test(one));
  const text =
    file && existsSync(join(here, folder, file)) ? readFileSync(join(here, folder, file), "utf8").trim() : "";
  return `${name} ${version} (${license})\n\n${text}\n`;
});
writeFileSync(join(out, "LICENCES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`));

// Builds dist/: the library, the page's script, the page. With --check it writes nothing and
// fails if dist/ is not what the sources give.

import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const check = process.argv.includes("--check");

const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  legalComments: "none",
  charset: "utf8",
  absWorkingDir: here("."),
  write: false,
};
const library = await build({ ...shared, entryPoints: ["src/index.ts"], outfile: here("dist/rayloom.js") });
// The page uses the same library file that others would, and so tests it.
const page = await build({
  ...shared,
  entryPoints: ["src/page.ts"],
  outfile: here("dist/page.js"),
  plugins: [{
    name: "library-beside-the-page",
    setup: (plugin) =>
      plugin.onResolve({ filter: /^\.\/index\.js$/ }, () => ({ path: "./rayloom.js", external: true })),
  }],
});

const files = new Map([
  ["dist/rayloom.js", library.outputFiles[0].text],
  ["dist/page.js", page.outputFiles[0].text],
  ["dist/index.html", await readFile(here("index.html"), "utf8")],
]);

let drifted = 0;
await mkdir(here("dist"), { recursive: true });
for (const [path, text] of files) {
  const old = await readFile(here(path), "utf8").catch(() => "");
  if (old === text) continue;
  drifted += 1;
  if (check) console.error(`${path} is not what the sources give: run \`npm run build\` and commit it`);
  else await writeFile(here(path), text);
}
if (check && drifted > 0) process.exit(1);
console.log(check ? "dist/ is up to date" : `dist/: ${drifted} of ${files.size} files written`);

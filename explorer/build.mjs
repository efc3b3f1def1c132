// Bundles the explorer's program: node build.mjs [FOLDER]   (FOLDER: where to; default ../src/lcrp/page/built)
import { build } from "esbuild";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const program = join(here, "../src/lcrp/page/program");

await build({
  entryPoints: ["main.js", "style.css"].map((name) => ({ in: join(program, name), out: "explorer" })),
  outdir: process.argv[2] ?? join(here, "../src/lcrp/page/built"),
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome110", "firefox115", "safari16.4"],
  charset: "utf8",
  legalComments: "none",
  logLevel: "warning",
});

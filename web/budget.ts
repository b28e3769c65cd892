// Checks that the built app is not larger than its budget: all that a browser may ever load of it, gzipped.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

/** Kilobytes of 1000 bytes, as Vite counts them. */
const BUDGET = { js: 410, css: 260 };

const assets = join(import.meta.dirname, "dist", "assets");
let isOver = false;
for (const [extension, budget] of Object.entries(BUDGET)) {
  const size = readdirSync(assets)
    .filter((name) => name.endsWith(`.${extension}`))
    .reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name))).length / 1000, 0);
  console.log(`${extension}: ${size.toFixed(0)} of ${budget} kB, gzipped`);
  // No files at all means that the build stands elsewhere.
  isOver ||= size > budget || size === 0;
}
if (isOver) {
  console.error("The app is over its budget, or is not built. Load less, or raise the budget in budget.ts.");
  process.exit(1);
}

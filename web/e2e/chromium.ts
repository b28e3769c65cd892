import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { fileURLToPath } from "node:url";

import packaged from "@sparticuz/chromium";

/** Returns the path of a Chromium: that of $CHROMIUM, else the system's, else the one in the npm package. */
export async function chromiumPath(): Promise<string> {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  for (const name of ["chromium", "chromium-browser", "google-chrome"]) {
    try {
      return execFileSync("which", [name], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    } catch {
      // It is not installed.
    }
  }
  return unpack();
}

/**
 * Unpacks the Chromium of the npm package into a folder of this version. By itself the package unpacks into the temporary
 * folder, and takes what it finds there: another version, or the half of one.
 */
async function unpack(): Promise<string> {
  const manifest = new URL("node_modules/@sparticuz/chromium/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const folder = fileURLToPath(new URL(`../../target/chromium-${version}`, import.meta.url));
  if (!existsSync(folder)) {
    const { TMPDIR } = process.env;
    process.env.TMPDIR = `${folder}.${process.pid}`;
    mkdirSync(process.env.TMPDIR, { recursive: true });
    await packaged.executablePath();
    renameSync(process.env.TMPDIR, folder);
    if (TMPDIR === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = TMPDIR;
  }
  return `${folder}/chromium`;
}

import { execFileSync } from "node:child_process";

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
  return packaged.executablePath();
}

/** The calls that gates have recorded, in the names of the model. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { ROOT } from "./template.ts";

export type Records = { owner: string; action: string; resource: string; allowed: boolean; count: number }[];

/** Returns the records of all gates since the folder was emptied, one for each call. */
export function recorded(): Records {
  const folder = join(ROOT, "target/iam");
  const files = readdirSync(folder).filter((name) => /^calls-.*\.json$/.test(name));
  const all = files.flatMap((name) => JSON.parse(readFileSync(join(folder, name), "utf8")) as Records);
  const sums = new Map<string, Records[number]>();
  for (const one of all) {
    const key = [one.owner, one.action, one.resource, one.allowed].join(" ");
    sums.set(key, { ...one, count: one.count + (sums.get(key)?.count ?? 0) });
  }
  return [...sums.values()];
}

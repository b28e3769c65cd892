import { execFileSync } from "node:child_process";

import { expect, test } from "@playwright/test";

import { awsEnvironment, root } from "./stack.ts";

test("make undeploy-web empties the bucket", async ({ page }) => {
  const shown = execFileSync("python", ["tools/deploy_web.py", "--config-env", "local", "--empty"], {
    cwd: root,
    env: awsEnvironment,
    encoding: "utf8",
  });
  expect(shown).toMatch(/: deleted [1-9]\d* files\n$/);
  expect((await page.goto("/"))?.status()).toBe(403);
});

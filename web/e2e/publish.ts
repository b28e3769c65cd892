import { execFileSync } from "node:child_process";

import { expect, test } from "@playwright/test";

import { awsEnvironment, root } from "./stack.ts";

test("make deploy-web publishes the build", () => {
  const publish = () =>
    execFileSync("python", ["tools/deploy_web.py", "--config-env", "local"], {
      cwd: root,
      env: awsEnvironment,
      encoding: "utf8",
    });
  expect(publish()).toMatch(/: published (\d+) new of \1 assets, and \d+ other files\n$/);
  // Assets are uploaded once.
  expect(publish()).toMatch(/: published 0 new of /);
});

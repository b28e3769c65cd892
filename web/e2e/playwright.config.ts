import { defineConfig, devices } from "@playwright/test";

import { chromiumPath } from "./chromium.ts";

// `local run` has chosen it, because Cognito must know the URL to which it redirects.
const port = process.env.WEB_PORT;
if (port === undefined) throw new Error("WEB_PORT is not set: start the tests with `make e2e`");
const baseURL = `http://localhost:${port}`;

export default defineConfig({
  forbidOnly: true,
  fullyParallel: true,
  // The tests mostly wait.
  workers: 4,
  // The workflow of an order takes some seconds, and minutes on a busy machine.
  timeout: 120_000,
  expect: { timeout: 30_000 },
  outputDir: "../../target/web-e2e",
  reporter: "list",
  // The files that the stack's distribution serves, with the API and the sign-in on the same origin: vite.local.ts.
  webServer: {
    command: `node_modules/.bin/vite preview --host 127.0.0.1 --port ${port} --strictPort`,
    cwd: "..",
    url: `${baseURL}/config.json`,
  },
  use: {
    ...devices["Desktop Chrome"],
    baseURL,
    locale: "en-GB",
    actionTimeout: 30_000,
    launchOptions: { executablePath: await chromiumPath(), args: ["--disable-gpu"] },
    screenshot: "only-on-failure",
  },
  projects: [
    { name: "publish", testMatch: "publish.ts", teardown: "empty" },
    { name: "journeys", testMatch: "*.spec.ts", dependencies: ["publish"] },
    { name: "screenshots", testMatch: "screenshots.ts", dependencies: ["publish"] },
    { name: "empty", testMatch: "empty.ts" },
  ],
});

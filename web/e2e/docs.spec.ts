import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";

import { expect, test } from "@playwright/test";

import { recordOrder, root } from "./stack.ts";

async function freePort(): Promise<number> {
  // None of those that systems give to outgoing connections, which could take it before the server starts.
  const server = createServer().listen(randomInt(20_000, 32_000), "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

let docs: ChildProcess;
let url: string;

test.beforeAll(async () => {
  const port = await freePort();
  url = `http://localhost:${port}`;
  docs = spawn("make", ["docs", `DOCS_PORT=${port}`], { cwd: root, detached: true, stdio: "inherit" });
  await expect(async () => expect((await fetch(url)).ok).toBe(true)).toPass();
});

test.afterAll(() => {
  // The server is a child of make.
  if (docs.pid !== undefined) process.kill(-docs.pid);
});

test("the page of make docs calls the local stack", async ({ page }) => {
  await recordOrder({ email: "", password: "", userId: "Burger_2" });
  await page.goto(url);
  const operations = page.locator(".opblock-summary-path");
  await expect(operations.first()).toHaveText(/^\/​?orders$/);
  const list = page.locator("#operations-Orders-get-orders");
  await list.getByRole("button", { name: "List orders" }).first().click();
  await list.getByRole("button", { name: "Try it out" }).click();
  await list.getByRole("button", { name: "Execute" }).click();
  const answer = list.locator(".live-responses-table");
  await expect(answer.locator(".response-col_status").last()).toContainText("200");
  await expect(answer).toContainText("Burger_2");
});

import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { AddressInfo } from "node:net";

import { createServer, type Plugin } from "vite";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { deployedStack } from "./vite.local.ts";

/** Stands for the distribution of a deployed stack: it answers with the request. */
const distribution = createHttpServer(({ method, url, headers }, response) => {
  response.end(`${method} ${url} ${headers.host} ${headers.authorization}`);
});
let host: string;

beforeEach(async () => {
  vi.stubEnv("ORDER_API_STACK", "");
  vi.stubEnv("WEB_URL", "");
  distribution.listen(0, "127.0.0.1");
  await once(distribution, "listening");
  host = `127.0.0.1:${(distribution.address() as AddressInfo).port}`;
});
afterEach(() => {
  distribution.close();
  vi.unstubAllEnvs();
});

/** Starts Vite's development server with that plugin and fetches these paths from it. */
async function answers(plugin: Plugin | undefined, paths: string[]): Promise<string[]> {
  const server = await createServer({
    configFile: false,
    logLevel: "silent",
    plugins: [plugin],
    // Leaves the cache of a running `make dev` alone.
    optimizeDeps: { noDiscovery: true },
    server: { host: "127.0.0.1", port: 0 },
  });
  try {
    await server.listen();
    const { port } = server.httpServer?.address() as AddressInfo;
    const fetched = paths.map(async (path) => {
      const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { Authorization: "Bearer token" } });
      return response.text();
    });
    return await Promise.all(fetched);
  } finally {
    await server.close();
  }
}

test("with WEB_URL, the API and the configuration are those of the deployed stack", async () => {
  vi.stubEnv("WEB_URL", `http://${host}/`);
  const [list, config, page] = await answers(deployedStack(), ["/api/orders?limit=1", "/config.json", "/orders"]);
  // The distribution knows itself by its own name only.
  expect(list).toBe(`GET /api/orders?limit=1 ${host} Bearer token`);
  expect(config).toBe(`GET /config.json ${host} Bearer token`);
  expect(page).toContain("<title>Order API</title>");
});

test("a local stack comes before a deployed one, and without either there is no plugin", () => {
  expect(deployedStack()).toBeUndefined();
  vi.stubEnv("WEB_URL", `http://${host}`);
  vi.stubEnv("ORDER_API_STACK", "{}");
  expect(deployedStack()).toBeUndefined();
});

test("a WEB_URL that is no URL is told", () => {
  vi.stubEnv("WEB_URL", "orders.example.com");
  expect(deployedStack).toThrow("WEB_URL=orders.example.com is not a URL");
});

import { expect, test } from "@playwright/test";

import { stack } from "./stack.ts";

// The emulator knows a distribution by its host, and a request by HTTPS by this header.
const HTTP = { Host: new URL(stack.web_url).host };
const HTTPS = { ...HTTP, "X-Forwarded-Proto": "https" };

test.use({ baseURL: stack.endpoint });

test("a page of the app is index.html, which is never cached, with the security headers", async ({ request }) => {
  for (const path of ["/", "/orders", "/orders/ann%40example.com/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1"]) {
    const response = await request.get(path, { headers: HTTPS });
    expect(response.status()).toBe(200);
    expect(await response.text()).toContain("<title>Order API</title>");
    const headers = response.headers();
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(headers["cache-control"]).toBe("no-cache");
    expect(headers["content-security-policy"]).toContain("frame-ancestors 'none'");
    expect(headers["strict-transport-security"]).toBe("max-age=63072000; includeSubDomains");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  }
});

test("the files that index.html names are scripts and styles, and are cached for a year", async ({ request }) => {
  const page = await (await request.get("/", { headers: HTTPS })).text();
  const names = page.match(/\/assets\/[^"]+/g) ?? [];
  expect(names.length).toBeGreaterThan(1);
  for (const name of names) {
    const { "content-type": type, "cache-control": cache } = (await request.get(name, { headers: HTTPS })).headers();
    expect(type).toBe(name.endsWith(".css") ? "text/css; charset=utf-8" : "text/javascript; charset=utf-8");
    expect(cache).toBe("public, max-age=31536000, immutable");
  }
});

test("config.json has the stack's outputs", async ({ request }) => {
  const response = await request.get("/config.json", { headers: HTTPS });
  expect(response.headers()["cache-control"]).toBe("no-cache");
  expect(await response.json()).toEqual({
    authority: `https://cognito-idp.eu-west-1.amazonaws.com/${stack.user_pool_id}`,
    clientId: stack.web_client_id,
    signInUrl: "https://order-api-local-000000000000.auth.eu-west-1.amazoncognito.com",
    unitPrice: { amount: 1000, currency: "EUR" },
  });
});

test("a missing file is no page", async ({ request }) => {
  for (const path of ["/assets/missing.js", "/assets/missing", "/missing.txt"]) {
    const response = await request.get(path, { headers: HTTPS });
    // 404 on AWS: the emulator ignores s3:ListBucket.
    expect(response.status()).toBe(403);
    expect(await response.text()).not.toContain("<html");
  }
});

test("pages move to HTTPS, and the API refuses plain HTTP", async ({ request }) => {
  const page = await request.get("/orders", { headers: HTTP, maxRedirects: 0 });
  expect(page.status()).toBe(301);
  expect(page.headers().location).toMatch(/^https:/);
  const api = await request.get("/api/orders", { headers: HTTP, maxRedirects: 0 });
  expect(api.status()).toBe(403);
});

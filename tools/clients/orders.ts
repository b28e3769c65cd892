// Creates, lists, reads, changes and deletes an order with a client that `run` generates from openapi.yaml.

import assert from "node:assert/strict";
import createClient from "openapi-fetch";
import type { components, paths } from "../../target/clients/schema.ts";

const PREFIX = "urn:problem-type:order-api:";
const USER = "TypeScript";

const api = createClient<paths>({
  baseUrl: process.env.API_URL,
  headers: { Authorization: `Bearer ${process.env.API_TOKEN}` },
});

// A quantity may be a number or a string of digits.
for (const quantity of [3, "3"]) {
  const created = await api.PUT("/orders", { body: { user_id: USER, restaurant_id: "Restaurant 3", quantity } });
  assert.equal(created.response.status, 201, JSON.stringify(created.error));
  const order: components["schemas"]["Order"] = created.data!;
  assert.equal(order.quantity, "3");
  assert.equal(order.order_status, "PENDING");
  const path = { userId: order.user_id, id: order.id };

  const listed = await api.GET("/orders", { params: { query: { user_id: USER, limit: 1 } } });
  assert.deepEqual(listed.data, [order]);

  const read = await api.GET("/orders/{userId}/order/{id}", { params: { path } });
  assert.deepEqual(read.data, order);
  const tag = read.response.headers.get("ETag")!;

  const change = { params: { path, header: { "If-Match": tag } }, body: { restaurant_id: "Restaurant 4", quantity: 1 } };
  const changed = await api.PUT("/orders/{userId}/order/{id}", change);
  assert.equal(changed.data?.restaurant_id, "Restaurant 4");
  assert.equal(changed.data?.version, order.version + 1);

  const stale = await api.PUT("/orders/{userId}/order/{id}", change);
  assert.equal(stale.error?.type, `${PREFIX}stale-version`);

  const deleted = await api.DELETE("/orders/{userId}/order/{id}", { params: { path } });
  assert.equal(deleted.response.status, 204, JSON.stringify(deleted.error));
  const gone = await api.GET("/orders/{userId}/order/{id}", { params: { path } });
  assert.equal(gone.error?.type, `${PREFIX}not-found`);
}

// The compiler knows the fields and their types: each of these lines would be an error without the comment above it.
// @ts-expect-error
const boolean = await api.PUT("/orders", { body: { restaurant_id: "Restaurant 3", quantity: true } });
assert.equal(boolean.error?.type, `${PREFIX}invalid-request`);
// @ts-expect-error
const unnamed = await api.PUT("/orders", { body: { quantity: 3 } });
assert.equal(unnamed.error?.type, `${PREFIX}invalid-request`);

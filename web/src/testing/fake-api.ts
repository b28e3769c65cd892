import { http, HttpResponse } from "msw";

import type { Order } from "../api/api";
import { server } from "./server";

export interface SeenRequest {
  method: string;
  path: string;
  headers: Headers;
  body: string;
}

/** Makes an order as the API returns it. Ids are in the order of their numbers. */
export function makeOrder(number: number, change: Partial<Order> = {}): Order {
  const created = new Date(Date.UTC(2026, 0, 1, 12, 0, number));
  const time = created.getTime().toString(16).padStart(12, "0");
  const id = `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-${number.toString(16).padStart(12, "0")}`;
  const at = created.toISOString().replace("Z", "000000Z");
  return {
    user_id: "ann",
    restaurant_id: `Restaurant ${number}`,
    quantity: "3",
    id,
    created_at: at,
    order_status: "PENDING",
    updated_at: at,
    version: 1,
    processing: "workflow",
    total: { amount: 3000, currency: "EUR" },
    ...change,
  };
}

/** The stages of a submitted order that succeeds. */
export function stages(order: Order): Order[] {
  const times = ["accepted_at", "paid_at", "delivered_at"] as const;
  const result = [order];
  times.forEach((time, index) => {
    const before = result.at(-1) ?? order;
    result.push({ ...before, [time]: `2026-01-01T12:01:0${index}.000000000Z`, version: before.version + 1 });
  });
  const last = result.at(-1) ?? order;
  result.push({
    ...last,
    completed_at: "2026-01-01T12:01:09.000000000Z",
    order_status: "SUCCESS",
    version: last.version + 1,
  });
  return result;
}

export function problem(status: number, kind: string, change: object = {}, headers: Record<string, string> = {}) {
  return HttpResponse.json(
    {
      type: `urn:problem-type:order-api:${kind}`,
      title: kind,
      status,
      detail: `Detail of ${kind}.`,
      request_id: "r-1",
      ...change,
    },
    { status, headers: { "Content-Type": "application/problem+json", ...headers } },
  );
}

type Answer = Response | "as usual";

/** The Order API in memory. A test reads and changes `orders`, and may answer for it. */
export class FakeApi {
  readonly orders = new Map<string, Order>();
  readonly requests: SeenRequest[] = [];
  /** Orders that were submitted and are not saved yet. */
  readonly queue = new Map<string, Order>();
  readonly #byKey = new Map<string, { body: string; order: Order }>();
  /** Answers a request in the API's place. */
  answer: (request: SeenRequest) => Answer | Promise<Answer> = () => "as usual";
  /** Answers a request after the API has carried it out. */
  answerAfter: (request: SeenRequest, response: Response) => Response | Promise<Response> = (_, response) => response;

  constructor(orders: Order[] = []) {
    orders.forEach((order) => this.orders.set(order.id, order));
    server.use(
      http.all("*/api/*", async ({ request }) => {
        const url = new URL(request.url);
        const path = url.pathname.slice("/api".length) + url.search;
        const seen = { method: request.method, path, headers: request.headers, body: await request.text() };
        this.requests.push(seen);
        const answer = await this.answer(seen);
        return answer === "as usual" ? this.answerAfter(seen, this.#serve(seen)) : answer;
      }),
    );
  }

  put(order: Order): void {
    this.orders.set(order.id, order);
  }

  /** Saves what was submitted. */
  saveQueue(): void {
    this.queue.forEach((order) => this.put(order));
    this.queue.clear();
  }

  sent(method: string): SeenRequest[] {
    return this.requests.filter((request) => request.method === method);
  }

  #serve(request: SeenRequest): Response {
    const { pathname, searchParams } = new URL(request.path, "http://api");
    if (pathname === "/orders") {
      return request.method === "POST" ? this.#submit(request) : this.#list(searchParams);
    }
    const id = pathname.split("/").at(-1) ?? "";
    const order = this.orders.get(id);
    if (!order) {
      if (request.method === "DELETE") this.queue.delete(id);
      return problem(404, "not-found");
    }
    if (request.method === "GET") return HttpResponse.json(order);
    if (request.headers.get("If-Match") !== `"${order.version}"`) return problem(412, "stale-version");
    if (order.accepted_at && order.order_status === "PENDING") return problem(409, "in-process");
    if (request.method === "DELETE") {
      this.orders.delete(id);
      return new HttpResponse(null, { status: 204 });
    }
    const content = JSON.parse(request.body) as Partial<Order>;
    const changed = { ...order, ...content, version: order.version + 1 };
    this.put(changed);
    return HttpResponse.json(changed);
  }

  #list(query: URLSearchParams): Response {
    const userId = query.get("user_id");
    const limit = Number(query.get("limit") ?? 100);
    const start = Number(query.get("cursor") ?? 0);
    const all = [...this.orders.values()].filter((order) => !userId || order.user_id === userId);
    if (userId) all.sort((a, b) => (a.id < b.id ? 1 : -1));
    const next =
      start + limit < all.length ? { Link: `<?limit=${limit}&cursor=${start + limit}>; rel="next"` } : undefined;
    return HttpResponse.json(all.slice(start, start + limit), next && { headers: next });
  }

  #submit({ headers, body }: SeenRequest): Response {
    const key = headers.get("Idempotency-Key") ?? "";
    const before = this.#byKey.get(key);
    if (before && before.body !== body) return problem(422, "idempotency-key-reused");
    const content = JSON.parse(body) as Partial<Order>;
    if (content.quantity === "0") {
      return problem(400, "invalid-request", {
        errors: [{ field: "quantity", message: "must be an integer from 1 to 1000" }],
      });
    }
    const order = before?.order ?? makeOrder(1000 + this.#byKey.size, content);
    if (!before) {
      this.#byKey.set(key, { body, order });
      this.queue.set(order.id, order);
    }
    return HttpResponse.json(order, { status: 202 });
  }
}

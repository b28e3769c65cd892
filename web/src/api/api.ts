import createClient from "openapi-fetch";

import type { Session } from "../auth/session";
import { ApiError } from "./error";
import type { components, paths } from "./schema";

export type Order = components["schemas"]["Order"];

export interface Page {
  orders: Order[];
  /** Cursor of the next page, if there is one. */
  next: string | null;
}

/** Name of an order in the API's paths. */
export interface OrderKey {
  userId: string;
  id: string;
}

/** New content of an order. */
export type OrderUpdate = components["schemas"]["UpdateOrder"];

/** Orders on a page of a list. */
export const PAGE_SIZE = 100;

/** API Gateway gives up after 29 seconds. */
const TIMEOUT_MS = 30_000;

export type Api = ReturnType<typeof createApi>;

/** Operations of the Order API, on behalf of the person of that session. */
export function createApi(session: Session) {
  const client = createClient<paths>({
    baseUrl: new URL("/api", window.location.origin).href,
    fetch: (request) => {
      const signal = AbortSignal.any([request.signal, AbortSignal.timeout(TIMEOUT_MS)]);
      return fetch(new Request(request, { signal }));
    },
  });
  client.use({
    async onRequest({ request }) {
      request.headers.set("Authorization", `Bearer ${await session.accessToken()}`);
      return request;
    },
    async onResponse({ response }) {
      if (response.status === 401) await session.refused();
      // A gateway's own error says nothing about the token.
      else if (response.status < 500) session.accepted();
    },
  });

  return {
    /** Returns a page of a user's orders, newest first; without a user, of everybody's in no particular order. */
    async list(userId: string | undefined, cursor: string | null, signal: AbortSignal): Promise<Page> {
      const query = { limit: PAGE_SIZE, ...(userId && { user_id: userId }), ...(cursor && { cursor }) };
      const result = await client.GET("/orders", { params: { query }, signal });
      return { orders: data(result), next: nextCursor(result.response.headers.get("Link")) };
    },

    /** Returns the order as its last write left it; null if there is none. */
    async read({ userId, id }: OrderKey, signal?: AbortSignal): Promise<Order | null> {
      const result = await client.GET("/orders/{userId}/order/{id}", {
        params: { path: { userId, id } },
        ...(signal && { signal }),
      });
      return result.response.status === 404 ? null : data(result);
    },

    /** Submits an order. `body` is sent byte for byte, because a repeat with other bytes would be another request. */
    async submit(key: string, body: string): Promise<Order> {
      const result = await client.POST("/orders", {
        params: { header: { "Idempotency-Key": key } },
        body: JSON.parse(body) as components["schemas"]["SubmitOrder"],
        bodySerializer: () => body,
      });
      return data(result);
    },

    /** Changes the order, if it still has the version of `seen`. */
    async change(seen: Order, content: OrderUpdate): Promise<Order> {
      const result = await client.PUT("/orders/{userId}/order/{id}", {
        params: { path: { userId: seen.user_id, id: seen.id }, header: { "If-Match": etag(seen) } },
        body: content,
      });
      return data(result);
    },

    /** Deletes the order, if it still has the version of `seen`. Returns false if there is none: that is final. */
    async remove(seen: Order): Promise<boolean> {
      const result = await client.DELETE("/orders/{userId}/order/{id}", {
        params: { path: { userId: seen.user_id, id: seen.id }, header: { "If-Match": etag(seen) } },
      });
      if (result.response.status === 404) return false;
      if (!result.response.ok) throw new ApiError(result.response, result.error);
      return true;
    },
  };
}

/** Entity tag of an order, as `ETag` would have it. */
const etag = (order: Order): string => `"${order.version}"`;

function data<T>(result: { data?: T; error?: unknown; response: Response }): T {
  if (!result.response.ok || result.data === undefined) throw new ApiError(result.response, result.error);
  return result.data;
}

/** Cursor in a header such as `<?cursor=...>; rel="next"`. */
function nextCursor(link: string | null): string | null {
  const query = /<\?([^>]*)>;\s*rel="next"/.exec(link ?? "")?.[1];
  return query ? new URLSearchParams(query).get("cursor") : null;
}

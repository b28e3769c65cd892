import type { QueryState } from "@tanstack/react-query";

import { retryAfterOf, statusOf } from "../api/error";

const FASTEST_MS = 2_000;
const SLOWEST_MS = 30_000;

/** For each query the data that it has now, and the number of updates at which that data was new. */
const changes = new WeakMap<object, { data: unknown; update: number }>();

/**
 * Interval of a query that waits for a change: every two seconds at first, then less often with each answer that brings
 * nothing new. After an error it is half a minute, or `Retry-After` if that is longer. TanStack Query pauses it in hidden
 * tabs.
 */
export function pollInterval(query: {
  state: Pick<QueryState, "data" | "error" | "dataUpdateCount" | "status">;
}): number | false {
  const { data, error, dataUpdateCount, status } = query.state;
  if (status === "error") {
    if (statusOf(error) === 401) return false;
    return Math.max(SLOWEST_MS, retryAfterOf(error) * 1000);
  }
  let change = changes.get(query);
  // An answer that brings nothing new keeps the identity of the data.
  if (change?.data !== data) {
    change = { data, update: dataUpdateCount };
    changes.set(query, change);
  }
  const unchanged = dataUpdateCount - (change?.update ?? dataUpdateCount);
  return Math.min(FASTEST_MS * 1.5 ** unchanged, SLOWEST_MS);
}

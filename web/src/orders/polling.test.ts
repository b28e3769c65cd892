import { expect, test } from "vitest";

import { ApiError } from "../api/error";
import { pollInterval } from "./polling";

type State = Parameters<typeof pollInterval>[0]["state"];

const answer = (status: number, headers = {}) => new ApiError(new Response(null, { status, headers }), undefined);

test("asks less often while nothing changes, and often again after a change", () => {
  const query = { state: { data: "a", error: null, dataUpdateCount: 1, status: "success" } as State };
  const seconds = (update: number, data: string) => {
    query.state = { ...query.state, data, dataUpdateCount: update };
    return Number(pollInterval(query)) / 1000;
  };
  expect([seconds(1, "a"), seconds(2, "a"), seconds(3, "a")]).toEqual([2, 3, 4.5]);
  expect(seconds(30, "a")).toBe(30);
  expect([seconds(31, "b"), seconds(32, "b")]).toEqual([2, 3]);
});

test("waits half a minute after an error, and longer if the API says so", () => {
  const after = (error: Error) =>
    pollInterval({ state: { data: undefined, error, dataUpdateCount: 1, status: "error" } });
  expect(after(new TypeError("offline"))).toBe(30_000);
  expect(after(answer(429, { "Retry-After": "5" }))).toBe(30_000);
  expect(after(answer(503, { "Retry-After": "90" }))).toBe(90_000);
  expect(after(answer(401))).toBe(false);
});

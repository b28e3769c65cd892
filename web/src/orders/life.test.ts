import { expect, test } from "vitest";

import { makeOrder, stages } from "../testing/fake-api";
import { instantOf, isMoving, timelineOf, unchangeable, undeletable } from "./life";

const labels = (order: Parameters<typeof timelineOf>[0]) =>
  timelineOf(order).map(({ label, look }) => `${label} ${look}`);

test("the timeline of a submitted order grows to its success", () => {
  expect(stages(makeOrder(1)).map(labels)).toEqual([
    ["Submitted success", "Acceptance in-progress"],
    ["Submitted success", "Accepted success", "Payment in-progress"],
    ["Submitted success", "Accepted success", "Paid success", "Delivery in-progress"],
    ["Submitted success", "Accepted success", "Paid success", "Delivered success", "Completion in-progress"],
    ["Submitted success", "Accepted success", "Paid success", "Delivered success", "Success success"],
  ]);
});

const paid = { accepted_at: "2026-01-01T12:00:00Z", paid_at: "2026-01-01T12:00:01Z" };
const failure = {
  order_status: "FAILURE",
  completed_at: "2026-01-01T12:00:02Z",
  error_message: "the restaurant refused",
} as const;

test.each([
  [{ ...paid, refund: "OWED" }, ["Delivery cancelled error", "Refund owed in-progress"]],
  [{ ...paid, ...failure, refund: "MADE" }, ["Delivery cancelled error", "Refunded success", "Failure error"]],
  [{ ...paid, ...failure, refund: "FAILED" }, ["Delivery cancelled error", "Refund failed error", "Failure error"]],
  [
    { accepted_at: paid.accepted_at, ...failure, refund: "UNKNOWN" },
    ["Order stopped error", "Refund unclear warning", "Failure error"],
  ],
  [{ accepted_at: paid.accepted_at, ...failure }, ["Order stopped error", "Failure error"]],
] as const)("a failing order shows its end and its refund: %j", (change, expected) => {
  expect(labels(makeOrder(1, change)).slice(-expected.length)).toEqual(expected);
});

test("an order made by PUT is what it is: recorded, and never moving", () => {
  const order = makeOrder(1, { processing: "none" });
  expect(labels(order)).toEqual(["Recorded success"]);
  expect(isMoving(order)).toBe(false);
  expect(undeletable(order)).toBeUndefined();
});

test("an order can be changed until it is accepted, and deleted then and when it is settled", () => {
  const [submitted, accepted, , , success] = stages(makeOrder(1)) as [never, never, never, never, never];
  expect([submitted, accepted, success].map(unchangeable)).toEqual([undefined, expect.any(String), expect.any(String)]);
  expect([submitted, accepted, success].map(undeletable)).toEqual([undefined, expect.any(String), undefined]);
  expect(undeletable(makeOrder(1, { ...paid, ...failure, refund: "OWED" }))).toMatch("refund");
});

test("an id tells when it was made", () => {
  expect(new Date(instantOf("01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1")).toISOString()).toBe("2023-01-02T22:10:08.821Z");
});

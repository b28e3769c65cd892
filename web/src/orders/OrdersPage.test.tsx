import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { HttpResponse } from "msw";
import { expect, test, vi } from "vitest";

import type { Order } from "../api/api";
import { FakeApi, makeOrder, problem, stages } from "../testing/fake-api";
import { ADMIN, FakeSignIn } from "../testing/fake-sign-in";
import { open, pass, useFakeTime } from "../testing/render";
import { noteSubmitted } from "./known";

const done = (number: number, change: Partial<Order> = {}) => makeOrder(number, { order_status: "SUCCESS", ...change });

/** Restaurants of the table's rows, from the top. */
async function restaurants(table: string): Promise<(string | null)[]> {
  const rows = within(await screen.findByRole("table", { name: table })).getAllByRole("row");
  return rows.slice(1).map((row) => within(row).queryByText(/^Restaurant \d/)?.textContent ?? null);
}

const shows = (table: string, expected: string[]) =>
  waitFor(async () => expect(await restaurants(table)).toEqual(expected));

test("shows a person's orders newest first, also those made by PUT", async () => {
  new FakeApi([done(1), makeOrder(2, { processing: "none" }), done(3), done(4, { user_id: "bob" })]);
  await open("/orders");
  await shows("My orders", ["Restaurant 3", "Restaurant 2", "Restaurant 1"]);
  expect(screen.getByText("Newest first.")).toBeVisible();
  expect(within(screen.getByRole("table")).getByText("Recorded only")).toBeVisible();
});

test("shows the user id, to copy", async () => {
  new FakeApi();
  const { user } = await open("/orders");
  const copied = vi.spyOn(navigator.clipboard, "writeText");
  await user.click(await screen.findByRole("button", { name: "Copy your user id" }));
  expect(copied).toHaveBeenCalledWith("ann");
});

test("says that there are no orders, and offers the form", async () => {
  new FakeApi();
  const { user } = await open("/orders");
  await screen.findByText("There are no orders here yet.");
  await user.click(screen.getByRole("link", { name: "Submit the first order" }));
  await screen.findByRole("heading", { name: "Submit an order" });
});

test("loads page after page, and says that search and filter look at the loaded orders only", async () => {
  const api = new FakeApi(Array.from({ length: 130 }, (_, index) => done(index + 1)));
  const { user } = await open("/orders");
  await screen.findByText(/100 orders are loaded; there are more. Search and filter look at the loaded orders only./);
  const search = screen.getByLabelText("Search the loaded orders");
  await user.type(search, "Restaurant 30");
  await screen.findByText("None of the loaded orders matches the search and the filter.");

  await user.click(screen.getByRole("button", { name: "Load more orders" }));
  await shows("My orders", ["Restaurant 30"]);
  expect(screen.getByText(/130 orders are loaded. /)).toBeVisible();
  expect(screen.queryByRole("button", { name: "Load more orders" })).not.toBeInTheDocument();
  expect(api.requests.map(({ path }) => path)).toEqual([
    "/orders?limit=100&user_id=ann",
    "/orders?limit=100&user_id=ann&cursor=100",
  ]);
});

test("says how the loaded orders are sorted", async () => {
  new FakeApi([done(1, { quantity: "20" }), done(2, { quantity: "3" })]);
  const { user } = await open("/orders");
  await shows("My orders", ["Restaurant 2", "Restaurant 1"]);
  await user.click(screen.getByRole("button", { name: /Restaurant/ }));
  await shows("My orders", ["Restaurant 1", "Restaurant 2"]);
  expect(screen.getByText("The loaded orders, sorted by a column.")).toBeVisible();
  expect(screen.queryByText("Newest first.")).not.toBeInTheDocument();
});

test("filters by status", async () => {
  new FakeApi([done(1), makeOrder(2, { order_status: "FAILURE" }), makeOrder(3, { processing: "none" })]);
  const { user } = await open("/orders");
  await shows("My orders", ["Restaurant 3", "Restaurant 2", "Restaurant 1"]);
  await user.click(screen.getByRole("button", { name: "Status Any status" }));
  await user.click(await screen.findByRole("option", { name: "Failure" }));
  await shows("My orders", ["Restaurant 2"]);
});

test("an administrator sees everybody's orders in the order of the API, and a user's by their id", async () => {
  new FakeApi([done(1, { user_id: "bob" }), done(3), done(2, { user_id: "bob" })]);
  const { user } = await open("/orders", { signIn: new FakeSignIn(ADMIN) });
  await shows("Everybody's orders", ["Restaurant 1", "Restaurant 3", "Restaurant 2"]);
  expect(screen.getByText("Everybody's orders, in no particular order.")).toBeVisible();

  await user.type(screen.getByLabelText("User id"), "bob{Enter}");
  await shows("Orders of bob", ["Restaurant 2", "Restaurant 1"]);
  expect(window.location.search).toBe("?user_id=bob");
});

test("asks one list while orders are moving, and stops when all are final", async () => {
  useFakeTime();
  const [first, second] = [stages(makeOrder(1)), stages(makeOrder(2))];
  const api = new FakeApi([first[0], second[0], makeOrder(3, { processing: "none" })] as Order[]);
  await open("/orders");
  await shows("My orders", ["Restaurant 3", "Restaurant 2", "Restaurant 1"]);

  for (const stage of [1, 2, 3, 4]) {
    [first[stage], second[stage]].forEach((order) => {
      if (order) api.put(order);
    });
    const before = api.requests.length;
    await pass(2.1);
    await waitFor(() => expect(api.requests.length).toBeGreaterThan(before));
  }
  await waitFor(() => expect(within(screen.getByRole("table")).getAllByText("Success")).toHaveLength(2));
  expect(new Set(api.requests.map(({ path }) => path))).toEqual(new Set(["/orders?limit=100&user_id=ann"]));

  const before = api.requests.length;
  await pass(120);
  expect(api.requests).toHaveLength(before);
});

test("asks less often while nothing changes", async () => {
  useFakeTime();
  const api = new FakeApi([makeOrder(1)]);
  await open("/orders");
  await shows("My orders", ["Restaurant 1"]);
  await pass(60);
  // With a request every two seconds there would be 30.
  expect(api.requests.length).toBeGreaterThan(4);
  expect(api.requests.length).toBeLessThan(11);
});

test("asks nothing in a hidden tab, and at once when it is shown again", async () => {
  useFakeTime();
  const api = new FakeApi([makeOrder(1)]);
  await open("/orders");
  await shows("My orders", ["Restaurant 1"]);
  const visibility = vi.spyOn(document, "visibilityState", "get").mockReturnValue("hidden");
  fireEvent(document, new Event("visibilitychange"));
  await pass(5);
  const before = api.requests.length;
  await pass(60);
  expect(api.requests).toHaveLength(before);

  visibility.mockReturnValue("visible");
  fireEvent(document, new Event("visibilitychange"));
  await waitFor(() => expect(api.requests.length).toBeGreaterThan(before));
});

test("shows a submitted order until the list has it, and says when that takes long", async () => {
  useFakeTime();
  const api = new FakeApi([done(1)]);
  const submitted = makeOrder(2);
  noteSubmitted(submitted);
  await open("/orders");
  await shows("My orders", ["Restaurant 2", "Restaurant 1"]);
  const table = within(screen.getByRole("table"));
  expect(table.getByText("Pending: being saved")).toBeVisible();
  await pass(31);
  expect(await table.findByText("Pending: being saved, which takes longer than usual")).toBeVisible();

  api.put(submitted);
  await pass(31);
  expect(await table.findByText("Pending: submitted")).toBeVisible();
  await shows("My orders", ["Restaurant 2", "Restaurant 1"]);
  // Deleted by somebody else: now the list knows better.
  api.orders.delete(submitted.id);
  await pass(31);
  await shows("My orders", ["Restaurant 1"]);
});

test("follows a submitted order that everybody's list has on a page that is not loaded", async () => {
  useFakeTime();
  const api = new FakeApi(Array.from({ length: 130 }, (_, index) => done(index + 1)));
  const submitted = makeOrder(900, { user_id: "root" });
  noteSubmitted(submitted);
  await open("/orders", { signIn: new FakeSignIn(ADMIN) });
  const table = within(await screen.findByRole("table", { name: "Everybody's orders" }));
  await table.findByText("Pending: being saved");
  for (const [index, label] of ["submitted", "accepted", "paid", "delivered"].entries()) {
    api.put(stages(submitted)[index] ?? submitted);
    await pass(5);
    await table.findByText(`Pending: ${label}`);
  }
  api.put(stages(submitted)[4] ?? submitted);
  await pass(5);
  await waitFor(() => expect(table.queryByText(/^Pending/)).not.toBeInTheDocument());
  expect(table.getByText("Restaurant 900")).toBeVisible();
  const polled = api.requests.map(({ path }) => path).slice(1);
  expect(new Set(polled)).toEqual(new Set(["/orders?limit=100&user_id=root"]));
  await pass(120);
  expect(api.requests).toHaveLength(polled.length + 1);
});

test("offers a retry when the list can't be loaded", async () => {
  useFakeTime();
  const api = new FakeApi([done(1)]);
  api.answer = () => HttpResponse.error();
  const { user } = await open("/orders");
  await waitFor(() => expect(api.requests).toHaveLength(1));
  await pass(4);
  await screen.findByText("The orders could not be loaded");

  api.answer = () => problem(500, "internal");
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await pass(4);
  await screen.findByText("The service has a problem at the moment. (request r-1)");

  api.answer = () => "as usual";
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await shows("My orders", ["Restaurant 1"]);
  expect(screen.queryByText("The orders could not be loaded")).not.toBeInTheDocument();
});

test("keeps the loaded orders in sight while the API does not answer", async () => {
  useFakeTime();
  const api = new FakeApi([makeOrder(1)]);
  await open("/orders");
  await shows("My orders", ["Restaurant 1"]);
  api.answer = () => HttpResponse.error();
  await pass(10);
  await screen.findByText("The orders could not be loaded");
  await shows("My orders", ["Restaurant 1"]);
});

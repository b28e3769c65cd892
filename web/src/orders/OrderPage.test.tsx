import { screen, waitFor, within } from "@testing-library/react";
import type { UserEvent } from "@testing-library/user-event";
import { HttpResponse } from "msw";
import { expect, test } from "vitest";

import type { Order } from "../api/api";
import { Session } from "../auth/session";
import { FakeApi, makeOrder, problem, stages } from "../testing/fake-api";
import { CONFIG, FakeBrowser } from "../testing/fake-sign-in";
import { open, pass, showApp, useFakeTime } from "../testing/render";
import { noteSubmitted } from "./known";
import { pathOf } from "./paths";

const order = makeOrder(1, { restaurant_id: "Restaurant 3" });

/** An order whose id was made now. */
function freshOrder(): Order {
  const time = Date.now().toString(16).padStart(12, "0");
  return { ...order, id: `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000001` };
}

const dialog = async () => within(await screen.findByRole("dialog"));

async function startChange(user: UserEvent, quantity: string) {
  await user.click(await screen.findByRole("button", { name: "Change" }));
  const field = (await dialog()).getByLabelText("Quantity");
  await user.clear(field);
  await user.type(field, quantity);
}

test("follows an order to its success, and then stops asking", async () => {
  useFakeTime();
  const api = new FakeApi([order]);
  await open(pathOf(order));
  const timeline = within(await screen.findByRole("list", { name: "Timeline" }));
  for (const [index, label] of ["Accepted", "Paid", "Delivered", "Success"].entries()) {
    api.put(stages(order)[index + 1] ?? order);
    await pass(2.1);
    await timeline.findByText(label);
  }
  expect(screen.getByText("The order is paid and delivered.")).toBeVisible();
  const before = api.requests.length;
  await pass(120);
  expect(api.requests).toHaveLength(before);
});

test("a 404 after the 202 means that the order is not saved yet", async () => {
  useFakeTime();
  const api = new FakeApi();
  noteSubmitted(order);
  await open(pathOf(order));
  expect((await screen.findAllByText("Pending: being saved"))[0]).toBeInTheDocument();
  expect(screen.getByRole("button", { name: "Change" })).toHaveAttribute("aria-disabled", "true");
  await pass(31);
  await screen.findByText("Saving the order takes longer than usual");

  const before = api.requests.length;
  await pass(31);
  expect(api.requests.length).toBeGreaterThan(before);
  api.put(order);
  await pass(31);
  expect((await screen.findAllByText("Pending: submitted"))[0]).toBeInTheDocument();
  expect(screen.queryByText("Saving the order takes longer than usual")).not.toBeInTheDocument();
});

test("a 404 after a reload means the same for a young order", async () => {
  useFakeTime();
  const fresh = freshOrder();
  const api = new FakeApi();
  await open(pathOf(fresh));
  await screen.findByText(/The order is not there yet/);
  api.put(fresh);
  await pass(3);
  await screen.findByRole("heading", { name: "3 from Restaurant 3" });
});

test("a young order that is known by its address only may also have been deleted", async () => {
  useFakeTime();
  new FakeApi();
  await open(pathOf(freshOrder()));
  await pass(31);
  await screen.findByText(/it was deleted, or it is another user's/);
  expect(screen.queryByText(/The order is not lost/)).not.toBeInTheDocument();
});

test("a 404 for an old order is final", async () => {
  useFakeTime();
  const api = new FakeApi();
  await open(pathOf(order));
  await screen.findByText("There is no such order");
  await pass(60);
  expect(api.requests).toHaveLength(1);
});

test("offers a retry when the order can't be loaded", async () => {
  useFakeTime();
  const api = new FakeApi([order]);
  api.answer = () => problem(503, "unavailable");
  const { user } = await open(pathOf(order));
  await waitFor(() => expect(api.requests).toHaveLength(1));
  await pass(4);
  await screen.findByText("The order could not be loaded");
  api.answer = () => "as usual";
  await user.click(screen.getByRole("button", { name: "Try again" }));
  await screen.findByRole("heading", { name: "3 from Restaurant 3" });
});

test("changes an order for the version that the person saw", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "4");
  await (await dialog()).findByText(/You change quantity 3 to 4. New total: €40.00./);
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));
  await screen.findByText("The order is changed.");
  await screen.findByRole("heading", { name: "4 from Restaurant 3" });
  const [put] = api.sent("PUT");
  expect(put?.headers.get("If-Match")).toBe('"1"');
  expect(put?.body).toBe('{"restaurant_id":"Restaurant 3","quantity":"4"}');
});

test("shows what has changed in the meantime, and changes that version if the person tries again", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "4");
  api.put({ ...order, restaurant_id: "Restaurant 9", version: 2 });
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));

  await (await dialog()).findByText("The order has changed since you opened this");
  const changes = within((await dialog()).getByRole("table", { name: "Changes of the order" }));
  expect(changes.getByRole("row", { name: "Restaurant Restaurant 3 Restaurant 9" })).toBeVisible();
  expect((await dialog()).getByLabelText("Quantity")).toHaveValue("4");
  await user.click((await dialog()).getByRole("button", { name: "Try again" }));
  await screen.findByText("The order is changed.");
  expect(api.sent("PUT").map(({ headers }) => headers.get("If-Match"))).toEqual(['"1"', '"2"']);
  expect(api.orders.get(order.id)).toMatchObject({ quantity: "4", restaurant_id: "Restaurant 3", version: 3 });
});

test("says that an order can't be changed any more", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "4");
  const accepted = stages(order)[1] ?? order;
  api.put(accepted);
  api.answer = ({ method }) => (method === "PUT" ? problem(409, "in-process") : "as usual");
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));
  await (await dialog()).findByText("The order has been accepted.");
  expect((await dialog()).getByRole("button", { name: "Try again" })).toBeDisabled();
});

test("shows what the API says about a changed field", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "0");
  api.answer = ({ method }) =>
    method === "PUT"
      ? problem(400, "invalid-request", { errors: [{ field: "quantity", message: "too small" }] })
      : "as usual";
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));
  await waitFor(async () => {
    expect((await dialog()).getByLabelText("Quantity")).toHaveAccessibleDescription(/too small/);
  });
});

test("a change whose answer was lost is made once", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "4");
  api.answerAfter = ({ method }, response) => (method === "PUT" ? HttpResponse.error() : response);
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));
  await (await dialog()).findByText(/It is not known if the order was changed/);
  api.answerAfter = (_, response) => response;
  await user.click((await dialog()).getByRole("button", { name: "Try again" }));
  await screen.findByText("The order is changed.");
  expect(api.orders.get(order.id)).toMatchObject({ quantity: "4", version: 2 });
});

test("shows what the API says about a field after a conflict, too", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await startChange(user, "0");
  api.put({ ...order, restaurant_id: "Restaurant 9", version: 2 });
  await user.click((await dialog()).getByRole("button", { name: "Change order" }));
  await (await dialog()).findByText("The order has changed since you opened this");
  api.answer = ({ method }) =>
    method === "PUT"
      ? problem(400, "invalid-request", { errors: [{ field: "quantity", message: "too small" }] })
      : "as usual";
  await user.click((await dialog()).getByRole("button", { name: "Try again" }));
  await waitFor(async () => {
    expect((await dialog()).getByLabelText("Quantity")).toHaveAccessibleDescription(/too small/);
  });
});

test("a change that was not sent yet survives a sign-in", async () => {
  new FakeApi([order]);
  const browser = new FakeBrowser();
  const { user, session, unmount } = await open(pathOf(order), { browser });
  await startChange(user, "8");
  browser.left.length = 0;
  void session.refused();
  await waitFor(() => browser.authorizeUrl);
  unmount();
  browser.comeBack();
  showApp(await Session.open(CONFIG, browser));
  expect((await dialog()).getByLabelText("Quantity")).toHaveValue("8");
});

test("deletes an order after a confirmation", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  expect(api.sent("DELETE")).toHaveLength(0);
  await user.click((await dialog()).getByRole("button", { name: "Delete order" }));
  await screen.findByText("The order is deleted.");
  expect(api.sent("DELETE").map(({ headers }) => headers.get("If-Match"))).toEqual(['"1"']);
  await screen.findByText("There are no orders here yet.");
});

test("a deletion that finds no order is done: an order that is not saved yet never will be", async () => {
  useFakeTime();
  const api = new FakeApi();
  noteSubmitted(order);
  api.queue.set(order.id, order);
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  await user.click((await dialog()).getByRole("button", { name: "Delete order" }));
  await screen.findByText("The order is deleted.");
  await screen.findByText("There are no orders here yet.");
  const before = api.requests.length;
  await pass(60);
  expect(api.requests).toHaveLength(before);
});

test("a deletion of a changed order shows the change first", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  api.put({ ...order, quantity: "5", version: 2 });
  await user.click((await dialog()).getByRole("button", { name: "Delete order" }));
  const changes = within(await (await dialog()).findByRole("table", { name: "Changes of the order" }));
  expect(changes.getByRole("row", { name: "Quantity 3 5" })).toBeVisible();
  expect(api.orders.size).toBe(1);
  await user.click((await dialog()).getByRole("button", { name: "Try again" }));
  await screen.findByText("The order is deleted.");
  expect(api.orders.size).toBe(0);
});

test("says that a deletion failed after a conflict, too", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  api.put({ ...order, quantity: "5", version: 2 });
  await user.click((await dialog()).getByRole("button", { name: "Delete order" }));
  await (await dialog()).findByText("The order has changed since you opened this");
  api.answer = ({ method }) => (method === "DELETE" ? HttpResponse.error() : "as usual");
  await user.click((await dialog()).getByRole("button", { name: "Try again" }));
  await (await dialog()).findByText(/It is not known if the order was deleted/);
});

test("a list that lags behind does not show a deleted order again", async () => {
  const api = new FakeApi([order]);
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: "Delete" }));
  api.answer = ({ path }) => (path.startsWith("/orders?") ? HttpResponse.json([order]) : "as usual");
  await user.click((await dialog()).getByRole("button", { name: "Delete order" }));
  await screen.findByText("There are no orders here yet.");
});

test.each([
  ["Change", "Change order", "PUT"],
  ["Delete", "Delete order", "DELETE"],
])("%s: the dialog stays until the answer arrives, because a request can't be taken back", async (...names) => {
  const [openDialog, send, method] = names;
  const api = new FakeApi([order]);
  let answer: () => void = () => undefined;
  api.answerAfter = (request, response) =>
    request.method === method ? new Promise((resolve) => (answer = () => resolve(response))) : response;
  const { user } = await open(pathOf(order));
  await user.click(await screen.findByRole("button", { name: openDialog }));
  await user.click((await dialog()).getByRole("button", { name: send }));
  await waitFor(() => expect(api.sent(method)).toHaveLength(1));
  expect((await dialog()).getByRole("button", { name: "Cancel" })).toBeDisabled();
  await user.keyboard("{Escape}");
  expect(screen.getByRole("dialog")).toBeVisible();
  answer();
  await screen.findByText(/The order is (changed|deleted)\./);
});

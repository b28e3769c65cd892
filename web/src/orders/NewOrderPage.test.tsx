import { act, screen, waitFor, within } from "@testing-library/react";
import type { UserEvent } from "@testing-library/user-event";
import { HttpResponse } from "msw";
import { expect, onTestFinished, test, vi } from "vitest";

import { Session } from "../auth/session";
import { FakeApi, problem } from "../testing/fake-api";
import { ADMIN, ANN, CONFIG, FakeBrowser, FakeSignIn } from "../testing/fake-sign-in";
import { open, pass, showApp, useFakeTime } from "../testing/render";
import { CONTENT } from "./content";

const restaurant = () => screen.findByLabelText("Restaurant");
const submitButton = () => screen.findByRole("button", { name: "Submit order" });

async function fill(user: UserEvent, name: string, quantity: string) {
  const field = await restaurant();
  await user.clear(field);
  await user.type(field, name);
  await user.clear(screen.getByLabelText("Quantity"));
  await user.type(screen.getByLabelText("Quantity"), quantity);
}

/** Key and bytes of each POST. */
const attempts = (api: FakeApi) => api.sent("POST").map(({ headers, body }) => [headers.get("Idempotency-Key"), body]);

/** Lets the answers that have arrived take effect. */
const settled = () => act(() => new Promise((resolve) => setTimeout(resolve, 50)));

/** One lost answer: the API has carried the request out. */
const lost = () => HttpResponse.error();

test("does not doubt a submission while the page of the order is loading", async () => {
  let loaded: () => void = () => undefined;
  const loading = new Promise<void>((resolve) => (loaded = resolve));
  onTestFinished(() => loaded());
  vi.doMock("./OrderPage", async (original) => {
    await loading;
    return original();
  });
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await waitFor(() => expect(window.sessionStorage).toHaveLength(0));
  await settled();
  expect(screen.queryByText("It is not known if the order was submitted")).not.toBeInTheDocument();
  loaded();
  await screen.findByText("The order is submitted.");
  expect(api.sent("POST")).toHaveLength(1);
});

test("submits an order, shows its total, and follows it", async () => {
  useFakeTime();
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  expect(screen.getByText("€40.00")).toBeVisible();
  await user.click(await submitButton());

  await screen.findByText("The order is submitted.");
  expect(screen.getByRole("button", { name: "Dismiss" })).toBeInTheDocument();
  expect(window.location.pathname).toMatch(/^\/orders\/ann\/[0-9a-f-]{36}$/);
  expect(api.sent("POST").map(({ body }) => body)).toEqual(['{"restaurant_id":"Restaurant 3","quantity":"4"}']);
  expect(window.sessionStorage).toHaveLength(0);
  expect(screen.getAllByText("Pending: being saved")[0]).toBeInTheDocument();

  api.saveQueue();
  await pass(3);
  expect((await screen.findAllByText("Pending: submitted"))[0]).toBeInTheDocument();
});

test("sends each field of the content, and the page of the order shows it", async () => {
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await submitButton();
  for (const [index, { label }] of CONTENT.entries()) {
    const field = screen.getByRole("textbox", { name: new RegExp(`^${label}`) });
    await user.clear(field);
    await user.type(field, `${index + 40}`);
  }
  await user.click(await submitButton());
  await screen.findByText("The order is submitted.");
  const values = CONTENT.map(({ name }, index) => [name, `${index + 40}`]);
  expect(JSON.parse(api.sent("POST")[0]?.body ?? "")).toEqual(Object.fromEntries(values));
  for (const [index, { label }] of CONTENT.entries()) {
    const term = screen.getByText(label, { selector: "dt *, dt" });
    expect(term.closest("dt")?.nextElementSibling).toHaveTextContent(`${index + 40}`);
  }
});

test("a double click makes one order", async () => {
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  await user.dblClick(await submitButton());
  await screen.findByText("The order is submitted.");
  expect(api.sent("POST")).toHaveLength(1);
});

test("shows what the API says about each field, and sends a changed form with a new key", async () => {
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "0");
  await user.click(await submitButton());
  const quantity = screen.getByLabelText("Quantity");
  await waitFor(() => expect(quantity).toHaveAccessibleDescription(/must be an integer from 1 to 1000/));
  expect(quantity).toHaveFocus();
  expect(quantity).toBeEnabled();

  await user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(2));
  await waitFor(() => expect(quantity).toBeEnabled());
  await fill(user, "Restaurant 3", "5");
  await user.click(await submitButton());
  await screen.findByText("The order is submitted.");
  const [first, unchanged, changed] = attempts(api);
  expect(unchanged).toEqual(first);
  expect(changed?.[0]).not.toBe(first?.[0]);
});

test("after a lost answer the same bytes are sent again before the form can be edited", async () => {
  useFakeTime();
  const api = new FakeApi();
  api.answerAfter = (request, response) => (request.method === "POST" ? lost() : response);
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(1));
  await pass(4);

  await screen.findByText("It is not known if the order was submitted");
  expect(api.sent("POST")).toHaveLength(3);
  expect(await restaurant()).toBeDisabled();
  expect(await submitButton()).toBeDisabled();

  api.answerAfter = (_, response) => response;
  await user.click(screen.getByRole("button", { name: "Send it again" }));
  await screen.findByText("The order is submitted.");
  expect(new Set(attempts(api).map((attempt) => attempt.join())).size).toBe(1);
  expect(api.queue.size).toBe(1);
});

test.each([503, 429])("a %s is repeated after Retry-After", async (status) => {
  useFakeTime();
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  api.answer = ({ method }) =>
    method === "POST" ? problem(status, "unavailable", {}, { "Retry-After": "30" }) : "as usual";
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(1));
  await pass(10);
  expect(api.sent("POST")).toHaveLength(1);
  api.answer = () => "as usual";
  await pass(25);
  await screen.findByText("The order is submitted.");
  expect(api.queue.size).toBe(1);
});

test("says how long the API asks to wait, if that is long", async () => {
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  api.answer = ({ method }) =>
    method === "POST" ? problem(503, "unavailable", {}, { "Retry-After": "90" }) : "as usual";
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await screen.findByText(/Try again in 90 seconds/);
  expect(api.sent("POST")).toHaveLength(1);
});

test("an answer without its order settles nothing", async () => {
  useFakeTime();
  const api = new FakeApi();
  api.answerAfter = (request, response) =>
    request.method === "POST" ? new HttpResponse(null, { status: 202 }) : response;
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(1));
  await pass(4);
  await screen.findByText("It is not known if the order was submitted");
  expect(await restaurant()).toBeDisabled();
});

test("a reload before the answer makes one order", async () => {
  const api = new FakeApi();
  api.answerAfter = () => new Promise(() => undefined);
  const { user, unmount } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  await user.click(await submitButton());
  await waitFor(() => expect(api.queue.size).toBe(1));
  unmount();

  api.answerAfter = (_, response) => response;
  await open("/orders/new");
  await screen.findByText("The order is submitted.");
  const [first, second] = attempts(api);
  expect(second).toEqual(first);
  expect(api.queue.size).toBe(1);
});

test("the list points to an attempt whose answer did not arrive", async () => {
  const api = new FakeApi();
  api.answerAfter = () => new Promise(() => undefined);
  const first = await open("/orders/new");
  await fill(first.user, "Restaurant 3", "4");
  await first.user.click(await submitButton());
  await waitFor(() => expect(api.queue.size).toBe(1));
  first.unmount();

  api.answerAfter = (_, response) => response;
  const { user } = await open("/orders");
  await user.click(await screen.findByRole("link", { name: "Send it again" }));
  await screen.findByText("The order is submitted.");
  expect(api.queue.size).toBe(1);
});

test("a late answer to one attempt does not forget the next one", async () => {
  const api = new FakeApi();
  let lateAnswer: () => void = () => undefined;
  api.answerAfter = (_, response) => new Promise((resolve) => (lateAnswer = () => resolve(response)));
  const first = await open("/orders/new");
  await fill(first.user, "Restaurant 3", "4");
  await first.user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(1));
  const answerFirst = lateAnswer;
  first.unmount();

  // Another page sends the same bytes, gets the answer, and sends another order.
  api.answerAfter = (_, response) => response;
  const second = await open("/orders/new");
  await screen.findByText("The order is submitted.");
  second.unmount();
  api.answerAfter = () => new Promise(() => undefined);
  const third = await open("/orders/new");
  await fill(third.user, "Restaurant 5", "6");
  await third.user.click(await submitButton());
  await waitFor(() => expect(api.queue.size).toBe(2));
  const frozen = window.sessionStorage.getItem("order-api:attempt");
  expect(frozen).toMatch("Restaurant 5");

  answerFirst();
  await settled();
  expect(window.sessionStorage.getItem("order-api:attempt")).toBe(frozen);
});

test("another person does not send what was frozen", async () => {
  const api = new FakeApi();
  window.sessionStorage.setItem("order-api:attempt", JSON.stringify({ userId: "bob", key: "k", body: "{}" }));
  await open("/orders/new");
  expect(await restaurant()).toBeEnabled();
  expect(api.sent("POST")).toHaveLength(0);
  expect(window.sessionStorage).toHaveLength(0);
});

test("a 401 leads to the sign-in and back, and the order is sent", async () => {
  const api = new FakeApi();
  const signIn = new FakeSignIn();
  const browser = new FakeBrowser();
  const { user, unmount } = await open("/orders/new", { signIn, browser });
  await fill(user, "Restaurant 3", "4");
  api.answer = ({ method }) => (method === "POST" ? problem(401, "unauthenticated") : "as usual");
  browser.left.length = 0;
  await user.click(await submitButton());
  await waitFor(() => browser.authorizeUrl);
  unmount();

  api.answer = () => "as usual";
  browser.comeBack();
  showApp(await Session.open(CONFIG, browser));
  await screen.findByText("The order is submitted.");
  expect(api.queue.size).toBe(1);
});

test("a form that was not sent yet survives a sign-in", async () => {
  const api = new FakeApi();
  const browser = new FakeBrowser();
  const { user, session, unmount } = await open("/orders/new", { browser });
  await fill(user, "Restaurant 8", "6");
  browser.left.length = 0;
  void session.refused();
  await waitFor(() => browser.authorizeUrl);
  unmount();

  browser.comeBack();
  showApp(await Session.open(CONFIG, browser));
  expect(await restaurant()).toHaveValue("Restaurant 8");
  expect(screen.getByLabelText("Quantity")).toHaveValue("6");
  expect(api.sent("POST")).toHaveLength(0);
});

test("offline the page says so, and sends again only when the person says so", async () => {
  useFakeTime();
  const api = new FakeApi();
  const { user } = await open("/orders/new");
  await fill(user, "Restaurant 3", "4");
  api.answer = () => HttpResponse.error();
  window.dispatchEvent(new Event("offline"));
  await user.click(await submitButton());
  await waitFor(() => expect(api.sent("POST")).toHaveLength(1));
  await pass(4);
  const alert = await screen.findByText(/No answer arrived. You may be offline/);
  expect(alert).toBeVisible();

  api.answer = () => "as usual";
  const before = api.sent("POST").length;
  window.dispatchEvent(new Event("online"));
  await pass(60);
  expect(api.sent("POST")).toHaveLength(before);
  await user.click(screen.getByRole("button", { name: "Send it again" }));
  await screen.findByText("The order is submitted.");
  expect(api.queue.size).toBe(1);
});

test("only an administrator may order for another user", async () => {
  const api = new FakeApi();
  const signIn = new FakeSignIn(ANN);
  const person = await open("/orders/new", { signIn });
  await restaurant();
  expect(screen.queryByLabelText(/User id/)).not.toBeInTheDocument();
  person.unmount();

  signIn.person = ADMIN;
  const { user, container } = await open("/orders/new", { signIn });
  await fill(user, "Restaurant 3", "4");
  await user.type(within(container).getByLabelText(/User id/), "bob");
  await user.click(await submitButton());
  await screen.findByText("The order is submitted.");
  expect(JSON.parse(api.sent("POST")[0]?.body ?? "")).toEqual({
    restaurant_id: "Restaurant 3",
    quantity: "4",
    user_id: "bob",
  });
});

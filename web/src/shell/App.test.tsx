import { act, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import axe from "axe-core";
import { http, HttpResponse } from "msw";
import { expect, test, vi } from "vitest";

import { Session } from "../auth/session";
import { loadConfig } from "../config";
import { pathOf } from "../orders/paths";
import { FakeApi, makeOrder, problem } from "../testing/fake-api";
import { ADMIN, CONFIG, FakeBrowser, FakeSignIn } from "../testing/fake-sign-in";
import { open, showApp } from "../testing/render";
import { server } from "../testing/server";
import { ErrorBoundary } from "./ErrorPage";
import { reloadIfOutdated } from "./reload";

const order = makeOrder(1);

test("a deep link leads to the sign-in and back to it", async () => {
  new FakeApi([order]);
  new FakeSignIn();
  const browser = new FakeBrowser();
  window.history.replaceState(null, "", pathOf(order));
  const { unmount } = showApp(await Session.open(CONFIG, browser));
  await screen.findByText("Signing in");
  await waitFor(() => browser.authorizeUrl);
  expect(browser.left).toHaveLength(1);
  unmount();
  browser.comeBack();
  showApp(await Session.open(CONFIG, browser));
  await screen.findByRole("heading", { name: "3 from Restaurant 1" });
});

test("the first page signs in when it is told to, and not by itself: it is where a sign-out ends", async () => {
  const browser = new FakeBrowser();
  showApp(await Session.open(CONFIG, browser));
  const button = await screen.findByRole("button", { name: "Sign in" });
  expect(browser.left).toHaveLength(0);
  await userEvent.click(button);
  await waitFor(() => browser.authorizeUrl);
});

test("a sign-in that fails is shown, and can be tried again", async () => {
  new FakeApi([order]);
  const signIn = new FakeSignIn();
  const browser = new FakeBrowser();
  window.history.replaceState(null, "", pathOf(order));
  void (await Session.open(CONFIG, browser)).signIn();
  await waitFor(() => browser.authorizeUrl);
  browser.comeBack();
  signIn.tokenAnswer = () => HttpResponse.json({ error: "server_error" }, { status: 500 });
  showApp(await Session.open(CONFIG, browser));
  await screen.findByText("You are not signed in");
  browser.left.length = 0;
  signIn.tokenAnswer = undefined;
  await userEvent.click(screen.getByRole("button", { name: "Sign in again" }));
  await waitFor(() => browser.authorizeUrl);
});

test("a browser that keeps no state of a sign-in gets a message", async () => {
  const browser = new FakeBrowser();
  window.history.replaceState(null, "", "/?code=code&state=lost;restarted");
  showApp(await Session.open(CONFIG, browser));
  await screen.findByText("The browser did not keep the state of the sign-in.");
  expect(screen.getByRole("button", { name: "Sign in" })).toBeVisible();
  expect(browser.left).toHaveLength(0);
});

test("an API that refuses fresh tokens is shown, and does not lead to the sign-in for ever", async () => {
  const api = new FakeApi();
  const browser = new FakeBrowser();
  api.answer = () => problem(401, "unauthenticated");
  const { unmount } = await open("/orders", { browser });
  await waitFor(() => expect(browser.left).toHaveLength(2));
  unmount();
  browser.comeBack();
  showApp(await Session.open(CONFIG, browser));
  await screen.findByText("Your sign-in has ended. (request r-1)");
  expect(screen.getByRole("button", { name: "Sign in again" })).toBeVisible();
  expect(browser.left).toHaveLength(2);
});

test("chooses a theme and keeps it", async () => {
  new FakeApi();
  const { user } = await open("/orders");
  const press = async (name: string) => {
    // On a narrow screen, such as jsdom's, the button is in a menu.
    await user.click(await screen.findByRole("button", { name: "More" }));
    await user.click(await screen.findByRole("button", { name }));
  };
  await press("Dark theme");
  expect(document.body).toHaveClass("awsui-dark-mode");
  expect(window.localStorage.getItem("order-api:theme")).toBe("dark");
  await press("Light theme");
  expect(document.body).not.toHaveClass("awsui-dark-mode");
});

test("signs out", async () => {
  new FakeApi();
  const { user, browser, signIn } = await open("/orders");
  await user.click(await screen.findByRole("button", { name: "Sign out" }));
  await waitFor(() => expect(browser.left.at(-1)).toMatch("https://sign-in.example/logout?"));
  expect(signIn.revoked).toContain("refresh-1");
});

test.each([
  ["the first page", "/", undefined, "Sign in"],
  ["the list", "/orders", undefined, "Load more orders"],
  ["the list of an administrator", "/orders", ADMIN, "Show their orders"],
  ["the form", "/orders/new", undefined, "Submit order"],
  ["an order", pathOf(order), undefined, "Delete"],
])("axe finds nothing on %s", async (_, path, person, button) => {
  new FakeApi([order, ...Array.from({ length: 110 }, (_, index) => makeOrder(index + 2, { order_status: "FAILURE" }))]);
  if (path === "/") showApp(await Session.open(CONFIG, new FakeBrowser()));
  else await open(path, { signIn: new FakeSignIn(person) });
  await screen.findByRole("button", { name: button });
  // jsdom has no colours; the tests in a browser check the contrast.
  const { violations } = await axe.run(document.documentElement, { rules: { "color-contrast": { enabled: false } } });
  expect(violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`)).toEqual([]);
});

test("an error of the app itself is shown instead of a blank page", () => {
  vi.spyOn(console, "error").mockReturnValue();
  const Broken = () => {
    throw new Error("Oops");
  };
  render(
    <ErrorBoundary>
      <Broken />
    </ErrorBoundary>,
  );
  expect(screen.getByText("Oops")).toBeVisible();
  expect(screen.getByRole("button", { name: "Load the page again" })).toBeVisible();
});

test("a browser that refuses storage gets a message instead of a blank page", async () => {
  const storage = vi.spyOn(window, "localStorage", "get").mockImplementation(() => {
    throw new Error("Access is denied");
  });
  const root = document.createElement("div");
  root.id = "root";
  document.body.append(root);
  await act(() => import("../main"));
  await screen.findByText("Order API can't be started");
  expect(screen.getByText("Access is denied")).toBeVisible();
  root.remove();
  storage.mockRestore();
});

test("a configuration must be complete", async () => {
  const answer = (config: object) => {
    server.use(http.get("*/config.json", () => HttpResponse.json(config)));
  };
  answer(CONFIG);
  expect(await loadConfig()).toEqual(CONFIG);
  answer({ ...CONFIG, clientId: "" });
  await expect(loadConfig()).rejects.toThrow("clientId");
});

test("a tab loads the page again if a newer one is deployed, and not otherwise", async () => {
  const script = document.createElement("script");
  script.type = "module";
  script.setAttribute("src", "/assets/index-old.js");
  document.head.append(script);
  const reload = vi.fn();
  const deploy = (name: string) => {
    server.use(
      http.get("*/index.html", () => HttpResponse.html(`<script type="module" src="/assets/${name}"></script>`)),
    );
  };
  deploy("index-old.js");
  await reloadIfOutdated(reload);
  expect(reload).not.toHaveBeenCalled();
  deploy("index-new.js");
  await reloadIfOutdated(reload);
  expect(reload).toHaveBeenCalledOnce();
  script.remove();
});

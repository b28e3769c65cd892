import type { Page } from "@playwright/test";

import { expect, fillSignIn, open, test } from "./fixtures.ts";
import { addPerson, api, type Order, ordersOf, recordOrder } from "./stack.ts";

const RESTAURANT = "Restaurant 3";

/** The order is not there, or not yet: right after its submission it may not be saved. */
const NOT_FOUND = /^404 GET \/api\/orders\/[^/]+\/order\//;

/** Fills in the form of an order. */
async function fillOrder(page: Page, quantity: string): Promise<void> {
  await page.getByLabel("Restaurant").fill(RESTAURANT);
  await page.getByLabel("Quantity").fill(quantity);
}

test("a person submits an order, watches it succeed, changes and deletes another, and signs out", async ({
  page,
  ann,
  allowed,
}) => {
  allowed.push(NOT_FOUND);
  const recorded = await recordOrder(ann);
  await open(page, ann);
  await page.evaluate(() => {
    document.body.dataset.loaded = "once";
  });

  // The simulators of the payment provider and the restaurants refuse about one order in seven.
  const timeline = page.getByRole("list", { name: "Timeline" });
  const orders = page.getByRole("link", { name: "Orders", exact: true });
  let submitted = 0;
  do {
    if (submitted > 0) await orders.click();
    await page.getByRole("link", { name: "Submit an order" }).click();
    await fillOrder(page, "3");
    await expect(page.getByRole("status")).toContainText("€30.00");
    await page.getByRole("button", { name: "Submit order" }).click();
    await expect(page.getByText("The order is submitted.")).toBeVisible();
    submitted += 1;
    await expect(timeline).toContainText(/Success|Failure/, { timeout: 60_000 });
  } while ((await timeline.innerText()).includes("Failure") && submitted < 6);
  await expect(timeline.getByRole("listitem")).toContainText(["Submitted", "Accepted", "Paid", "Delivered", "Success"]);
  expect(await page.evaluate(() => document.body.dataset.loaded)).toBe("once");

  await orders.click();
  await page.getByRole("link", { name: recorded.id }).click();
  await page.getByRole("button", { name: "Change" }).click();
  await page.getByLabel("Quantity").fill("4");
  await page.getByRole("button", { name: "Change order" }).click();
  await expect(page.getByText("The order is changed.")).toBeVisible();
  await expect(page.getByRole("heading", { name: `4 from ${RESTAURANT}` })).toBeVisible();

  await page.getByRole("button", { name: "Delete" }).click();
  await page.getByRole("button", { name: "Delete order" }).click();
  await expect(page.getByText("The order is deleted.")).toBeVisible();
  await expect(page.getByRole("link", { name: recorded.id })).toBeHidden();
  expect((await ordersOf(ann)).length).toBe(submitted);

  await page.getByRole("button", { name: "Sign out" }).click();
  await page.waitForURL("/");
});

test("the form shows what the API says about each field", async ({ page, ann, allowed }) => {
  allowed.push(/^400 POST \/api\/orders$/);
  await open(page, ann, "/orders/new");
  await page.getByLabel("Quantity").fill("0");
  await page.getByRole("button", { name: "Submit order" }).click();
  await expect(page.getByLabel("Restaurant")).toHaveAttribute("aria-invalid", "true");
  await expect(page.getByLabel("Restaurant")).toBeFocused();
  await expect(page.getByLabel("Quantity")).toHaveAttribute("aria-invalid", "true");
  expect(await ordersOf(ann)).toEqual([]);
});

test("a reload between a submission and its answer makes one order", async ({ page, ann, allowed }) => {
  allowed.push(NOT_FOUND);
  await open(page, ann, "/orders/new");
  await fillOrder(page, "2");
  // The request arrives, its answer does not.
  const arrived = new Promise<void>((resolve) => {
    void page.route("**/api/orders", async (route) => {
      await route.fetch();
      resolve();
    });
  });
  await page.getByRole("button", { name: "Submit order" }).click();
  await arrived;
  await page.unrouteAll({ behavior: "ignoreErrors" });
  await page.reload();
  await fillSignIn(page, ann);
  await expect(page.getByText("The order is submitted.")).toBeVisible();
  await expect(page.getByRole("list", { name: "Timeline" })).toContainText(/Success|Failure/, { timeout: 60_000 });
  expect((await ordersOf(ann)).map(({ quantity }) => quantity)).toEqual(["2"]);
});

test("a form survives while the API does not answer, and is sent once", async ({ page, ann, allowed }) => {
  allowed.push(NOT_FOUND, /^net::ERR_CONNECTION_REFUSED POST \/api\/orders$/);
  await open(page, ann, "/orders/new");
  await fillOrder(page, "5");
  await page.route("**/api/**", (route) => route.abort("connectionrefused"));
  await page.getByRole("button", { name: "Submit order" }).click();
  await expect(page.getByText("It is not known if the order was submitted")).toBeVisible();
  await expect(page.getByLabel("Quantity")).toHaveValue("5");
  await page.unrouteAll();
  await page.getByRole("button", { name: "Send it again" }).click();
  await expect(page.getByText("The order is submitted.")).toBeVisible();
  await expect.poll(async () => (await ordersOf(ann)).map(({ quantity }) => quantity)).toEqual(["5"]);
});

test("errors that are no answers of the API are shown, and both the list and the order can be tried again", async ({
  page,
  ann,
  allowed,
}) => {
  allowed.push(NOT_FOUND, /^503 (GET|POST) \/api\/orders$/);
  // As CloudFront answers if it can't reach the API.
  const body = "<!DOCTYPE html><html><body><h1>503 ERROR</h1>The request could not be satisfied.</body></html>";
  await page.route("**/api/**", (route) => route.fulfill({ status: 503, contentType: "text/html", body }));
  await open(page, ann);
  await expect(page.getByText("The orders could not be loaded")).toBeVisible();
  await expect(page.getByText("The service has a problem at the moment.")).toBeVisible();
  await page.getByRole("link", { name: "Submit an order" }).click();
  await fillOrder(page, "6");
  await page.getByRole("button", { name: "Submit order" }).click();
  await expect(page.getByText("It is not known if the order was submitted")).toBeVisible();
  await expect(page.getByText("The service has a problem at the moment.")).toBeVisible();

  await page.unrouteAll();
  await page.getByRole("button", { name: "Send it again" }).click();
  await expect(page.getByText("The order is submitted.")).toBeVisible();
  await page.getByRole("link", { name: "Orders", exact: true }).click();
  await expect(page.getByRole("cell", { name: RESTAURANT })).toBeVisible();
  await expect.poll(async () => (await ordersOf(ann)).map(({ quantity }) => quantity)).toEqual(["6"]);
});

test("a list that can't be loaded offers to try again", async ({ page, ann, allowed }) => {
  allowed.push(/^net::ERR_CONNECTION_REFUSED GET \/api\/orders$/);
  await recordOrder(ann);
  await page.route("**/api/**", (route) => route.abort("connectionrefused"));
  await open(page, ann);
  await expect(page.getByText("The orders could not be loaded")).toBeVisible();
  await page.unrouteAll();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("cell", { name: RESTAURANT })).toBeVisible();
});

test("of two tabs that change one order, the second sees the change of the first and may try again", async ({
  context,
  page,
  ann,
  allowed,
}) => {
  allowed.push(/^412 PUT \/api\/orders\//);
  const order = await recordOrder(ann);
  const path = `/orders/${order.user_id}/${order.id}`;
  const other = await context.newPage();
  for (const tab of [page, other]) {
    await open(tab, ann, path);
    await tab.getByRole("button", { name: "Change" }).click();
  }
  await page.getByLabel("Quantity").fill("7");
  await page.getByRole("button", { name: "Change order" }).click();
  await expect(page.getByText("The order is changed.")).toBeVisible();

  await other.getByLabel("Quantity").fill("9");
  await other.getByRole("button", { name: "Change order" }).click();
  const changes = other.getByRole("table", { name: "Changes of the order" });
  await expect(changes.getByRole("row", { name: "Quantity" })).toContainText("37");
  await other.getByRole("button", { name: "Try again" }).click();
  await expect(other.getByText("The order is changed.")).toBeVisible();
  expect((await ordersOf(ann)).map(({ quantity }) => quantity)).toEqual(["9"]);
});

test("an admin sees everybody's orders and those of one user", async ({ page, ann }) => {
  const admin = await addPerson("admin", { isAdmin: true });
  const order = await recordOrder(ann);
  await open(page, admin);
  await expect(page.getByRole("heading", { name: "Everybody's orders" })).toBeVisible();
  await expect(page.getByText("in no particular order")).toBeVisible();
  await page.getByRole("textbox", { name: "User id" }).fill(ann.userId);
  await page.getByRole("button", { name: "Show their orders" }).click();
  await expect(page.getByRole("heading", { name: `Orders of ${ann.userId}` })).toBeVisible();
  await page.getByRole("link", { name: order.id }).click();
  await expect(page.getByRole("heading", { name: `3 from ${RESTAURANT}` })).toBeVisible();
});

test("an order that does not exist is no blank page", async ({ page, ann, allowed }) => {
  allowed.push(NOT_FOUND);
  await open(page, ann, `/orders/${ann.userId}/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1`);
  await expect(page.getByText("There is no such order")).toBeVisible();
});

test("an account with 300 orders is paged, searched and filtered", async ({ page, ann }) => {
  const order = { user_id: ann.userId, quantity: 1 };
  const oldest = await api<Order>("PUT", "/orders", { ...order, restaurant_id: "The oldest" });
  const record = async () => {
    for (let made = 0; made < 23; made += 1) await api("PUT", "/orders", { ...order, restaurant_id: RESTAURANT });
  };
  await Promise.all(Array.from({ length: 13 }, record));
  await open(page, ann);
  await expect(page.getByText("there are more")).toBeVisible();
  const more = page.getByRole("button", { name: "Load more orders" });
  await expect(async () => {
    if (await more.isVisible()) await more.click();
    await expect(page.getByText("300 orders are loaded.")).toBeVisible({ timeout: 1_000 });
  }).toPass();
  await page.getByRole("button", { name: "Page 12 of all pages" }).click();
  await page.getByRole("link", { name: oldest.id }).click();
  await expect(page.getByRole("heading", { name: "1 from The oldest" })).toBeVisible();
  // A page begins at its top, no matter how far the last one was scrolled.
  await expect(page.getByRole("button", { name: "Sign out" })).toBeInViewport();
  await page.goBack();
  await page.getByRole("searchbox", { name: "Search the loaded orders" }).fill("oldest");
  await expect(page.getByText("1 found", { exact: true }).first()).toBeVisible();
  await page.getByRole("button", { name: "Any status" }).click();
  await page.getByRole("option", { name: "Success" }).click();
  await expect(page.getByText("No matches")).toBeVisible();
});

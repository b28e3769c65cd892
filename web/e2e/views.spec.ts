import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";

import { expect, open, test } from "./fixtures.ts";
import { addPerson, api, recordOrder } from "./stack.ts";

/** Headers of an answer after which the web UI does not try again by itself, because that would take too long. */
const LATER = { "Retry-After": "60" };

/** Returns an id that contains this time, in milliseconds. */
function idMadeAt(instant: number): string {
  const time = instant.toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7c3a-b3a1-3c1cf4a3e2b1`;
}

/** Asserts that axe finds nothing serious on the page as it is. */
async function expectAccessible(page: Page, view: string): Promise<void> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  const serious = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  const found = serious.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
  expect(found, view).toEqual([]);
}

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing serious on any view in the ${colorScheme} theme`, async ({ page, ann, allowed }) => {
    allowed.push(/^400 POST \/api\/orders$/);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.goto("/");
    await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
    expect(await page.evaluate(() => getComputedStyle(document.body).colorScheme)).toContain(colorScheme);
    await expectAccessible(page, "welcome");

    await open(page, ann);
    await expect(page.getByText("There are no orders here yet.")).toBeVisible();
    await expectAccessible(page, "empty list");

    await page.getByRole("link", { name: "Submit an order" }).click();
    await page.getByRole("button", { name: "Submit order" }).click();
    await expect(page.getByLabel("Restaurant")).toHaveAttribute("aria-invalid", "true");
    await expectAccessible(page, "form with an error");

    const order = await recordOrder(ann);
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.getByRole("button", { name: "Refresh" }).click();
    await page.getByRole("link", { name: order.id }).waitFor();
    await expectAccessible(page, "list");

    await page.getByRole("link", { name: order.id }).click();
    await page.getByRole("list", { name: "Timeline" }).waitFor();
    await expectAccessible(page, "order");
    for (const action of ["Change", "Delete"]) {
      await page.getByRole("button", { name: action }).click();
      await page.getByRole("dialog").waitFor();
      await expectAccessible(page, action);
      await page.getByRole("button", { name: "Cancel" }).click();
    }

    const admin = await addPerson("admin", { isAdmin: true });
    await open(page, admin);
    await expect(page.getByRole("heading", { name: "Everybody's orders" })).toBeVisible();
    await expectAccessible(page, "everybody's list");
    await page.getByRole("textbox", { name: "User id" }).fill(ann.userId);
    await page.getByRole("button", { name: "Show their orders" }).click();
    await page.getByRole("link", { name: order.id }).waitFor();
    await expectAccessible(page, "list of one user");
  });

  test(`axe finds nothing serious when something is wrong in the ${colorScheme} theme`, async ({
    page,
    ann,
    allowed,
  }) => {
    allowed.push(/^404 GET \/api\/orders\//, /^503 (GET|POST) \/api\/orders$/, /^412 PUT \/api\/orders\//);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    const order = await recordOrder(ann);

    // As after a reload of the page of an order that should be saved by now.
    await open(page, ann, `/orders/${ann.userId}/${idMadeAt(Date.now() - 60_000)}`);
    // Exactly the heading: the text for screen readers repeats it.
    await expect(page.getByText("Saving the order takes longer than usual", { exact: true })).toBeVisible();
    await expectAccessible(page, "order that is not saved yet");

    await open(page, ann, `/orders/${ann.userId}/01857488-ed35-7c3a-b3a1-3c1cf4a3e2b1`);
    await expect(page.getByText("There is no such order")).toBeVisible();
    await expectAccessible(page, "missing order");

    await page.route(/\/api\/orders(\?|$)/, (route) => route.fulfill({ status: 503, headers: LATER }));
    await page.getByRole("link", { name: "Show the orders" }).click();
    await expect(page.getByText("The orders could not be loaded")).toBeVisible();
    await expectAccessible(page, "list that can't be loaded");

    await page.getByRole("link", { name: "Submit an order" }).click();
    await page.getByLabel("Restaurant").fill("Restaurant 3");
    await page.getByRole("button", { name: "Submit order" }).click();
    await expect(page.getByRole("button", { name: "Send it again" })).toBeVisible();
    await expectAccessible(page, "unknown outcome");

    await page.unrouteAll();
    await page.getByRole("link", { name: "Cancel" }).click();
    await page.getByRole("link", { name: order.id }).click();
    await page.getByRole("button", { name: "Change" }).click();
    await api("PUT", `/orders/${order.user_id}/order/${order.id}`, { restaurant_id: "Restaurant 4", quantity: 7 });
    await page.getByLabel("Quantity").fill("9");
    await page.getByRole("button", { name: "Change order" }).click();
    await expect(page.getByRole("table", { name: "Changes of the order" })).toBeVisible();
    await expectAccessible(page, "changes by somebody else");
  });
}

test("every view fits the width of a phone", async ({ page, ann }) => {
  const expectFits = async (view: string) => {
    const [content, width] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    expect(content, view).toBe(width);
  };
  await page.setViewportSize({ width: 360, height: 740 });
  const order = await recordOrder(ann);
  await page.goto("/");
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await expectFits("welcome");
  await open(page, ann);
  await page.getByRole("link", { name: order.id }).waitFor();
  await expectFits("list");
  await page.getByRole("link", { name: "Submit an order" }).click();
  await page.getByLabel("Quantity").fill("2");
  await expectFits("form");
  await page.getByRole("link", { name: "Cancel" }).click();
  await page.getByRole("link", { name: order.id }).click();
  await page.getByRole("button", { name: "Delete" }).click();
  await expectFits("dialog");
  await page.getByRole("button", { name: "Delete order" }).click();
  await expect(page.getByText("The order is deleted.")).toBeVisible();
});

test("an order can be submitted by the keyboard alone", async ({ page, ann, allowed }) => {
  allowed.push(/^404 GET \/api\/orders\//); // it may not be saved yet
  await open(page, ann, "/orders/new");
  await page.getByLabel("Restaurant").focus();
  await page.keyboard.type("Restaurant 3");
  await page.keyboard.press("Tab");
  await page.keyboard.press("ControlOrMeta+A");
  await page.keyboard.type("2");
  await page.keyboard.press("Enter");
  await expect(page.getByText("The order is submitted.")).toBeVisible();
  await expect(page.getByRole("heading", { name: "2 from Restaurant 3" })).toBeVisible();
});

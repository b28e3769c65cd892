import { expect, fillSignIn, open, test } from "./fixtures.ts";

test("a wrong password is refused, and the right one leads to the page that was asked for", async ({ page, ann }) => {
  await page.goto("/orders/new");
  await fillSignIn(page, { ...ann, password: "Wrong-password-1" });
  await expect(page.getByText("Incorrect username or password")).toBeVisible();
  await fillSignIn(page, ann);
  await page.waitForURL("/orders/new");
  await expect(page.getByRole("heading", { name: "Submit an order" })).toBeVisible();
});

test("a sign-out ends in all tabs, and going back shows no orders", async ({ context, page, ann }) => {
  await open(page, ann);
  const other = await context.newPage();
  await open(other, ann);
  await expect(other.getByRole("heading", { name: "My orders" })).toBeVisible();
  await page.getByRole("button", { name: "Sign out" }).click();
  for (const tab of [page, other]) {
    await tab.waitForURL("/");
    await expect(tab.getByRole("button", { name: "Sign in" })).toBeVisible();
  }
  await page.goBack();
  await expect(page.getByText(ann.userId)).toBeHidden();
});

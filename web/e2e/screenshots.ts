import { expect, open, test } from "./fixtures.ts";
import { recordOrder, root } from "./stack.ts";

test.use({ viewport: { width: 1120, height: 640 } });

test("the list and an order, for the README", async ({ page, ann, allowed }) => {
  allowed.push(/^404 GET \/api\/orders\//); // an order may not be saved yet
  await recordOrder(ann, 12);
  await open(page, ann);
  for (const [restaurant, quantity] of [["Restaurant 1", "2"], ["Restaurant 4", "1"], ["Restaurant 3", "3"]] as const) {
    await page.getByRole("link", { name: "Submit an order" }).click();
    await page.getByLabel("Restaurant").fill(restaurant);
    await page.getByLabel("Quantity").fill(quantity);
    await page.getByRole("button", { name: "Submit order" }).click();
    await page.getByText("The order is submitted.").waitFor();
    if (quantity !== "3") await page.getByRole("link", { name: "Orders", exact: true }).click();
  }
  await page.getByRole("button", { name: "Dismiss" }).click();
  await expect(page.getByRole("list", { name: "Timeline" })).toContainText(/Success|Failure/, { timeout: 60_000 });
  await page.screenshot({ path: `${root}/docs/web-order.png`, animations: "disabled" });
  await page.getByRole("link", { name: "Orders", exact: true }).click();
  await page.getByRole("heading", { name: "My orders" }).waitFor();
  await page.screenshot({ path: `${root}/docs/web-orders.png`, animations: "disabled" });
});

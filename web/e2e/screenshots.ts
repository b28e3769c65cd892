import { expect, open, test } from "./fixtures.ts";
import { addPerson, recordOrder, root } from "./stack.ts";

test.use({ viewport: { width: 1120, height: 640 } });

test("the list of orders and one order, for the README", async ({ page, allowed }) => {
  allowed.push(/^404 GET \/api\/orders\//); // an order may not be saved yet
  const ann = await addPerson("ann", { email: "ann@example.com" });
  await recordOrder(ann, 12);
  await open(page, ann);
  const orders = page.getByRole("link", { name: "Orders", exact: true });
  for (const [restaurant, quantity] of [
    ["Restaurant 1", "2"],
    ["Restaurant 4", "1"],
    ["Restaurant 3", "3"],
  ] as const) {
    await page.getByRole("link", { name: "Submit an order" }).click();
    await page.getByLabel("Restaurant").fill(restaurant);
    await page.getByLabel("Quantity").fill(quantity);
    await page.getByRole("button", { name: "Submit order" }).click();
    await page.getByText("The order is submitted.").waitFor();
    await orders.click();
  }
  const done = page.getByRole("row", { name: "Success" });
  await done.first().waitFor({ timeout: 60_000 });
  await page.screenshot({ path: `${root}/docs/web-orders.png`, animations: "disabled" });
  await done.first().getByRole("link").click();
  await expect(page.getByRole("list", { name: "Timeline" })).toContainText("Success");
  await page.screenshot({ path: `${root}/docs/web-order.png`, animations: "disabled" });
});

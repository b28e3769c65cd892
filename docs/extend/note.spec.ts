/**
 * Checks the recipe in docs/extend.md. `make extend-check` runs it in a copy of the sources that has the field: through
 * the API, and in the web UI.
 */
import { expect, open, test } from "./fixtures.ts";
import { api } from "./stack.ts";

interface Order {
  id: string;
  user_id: string;
  note?: string;
}

const NOTE = "No onions, please";

test("an order has a note, however it is made, and a change replaces it", async ({ ann }) => {
  const content = { user_id: ann.userId, restaurant_id: "Restaurant 3", quantity: 3 };
  const made = await api<Order>("PUT", "/orders", { ...content, note: NOTE });
  const path = `/orders/${ann.userId}/order/${made.id}`;
  expect((await api<Order>("GET", path)).note).toBe(NOTE);
  await api("PUT", path, { ...content, note: "Ring twice" });
  expect((await api<Order>("GET", path)).note).toBe("Ring twice");
  await api("PUT", path, content);
  expect(await api<Order>("GET", path)).not.toHaveProperty("note");

  const submitted = await api<Order>("POST", "/orders", { ...content, note: NOTE });
  expect(submitted.note).toBe(NOTE);
  // It is saved moments later, with its note.
  const read = () => api<Order>("GET", `/orders/${ann.userId}/order/${submitted.id}`).catch(() => undefined);
  await expect.poll(async () => (await read())?.note).toBe(NOTE);
});

test("a note that is too long is refused, by its name", async ({ ann }) => {
  const content = { user_id: ann.userId, restaurant_id: "Restaurant 3", quantity: 3, note: "é".repeat(201) };
  const refusal = /: 400 .*"field":"note","message":"must be 1 to 200 characters/;
  await expect(api("PUT", "/orders", content)).rejects.toThrow(refusal);
  await expect(api("POST", "/orders", content)).rejects.toThrow(refusal);
});

test("a person types a note and sees it on the page of the order", async ({ page, ann, allowed }) => {
  // The order may not be saved yet.
  allowed.push(/^404 GET \/api\/orders\/[^/]+\/order\//);
  await open(page, ann, "/orders/new");
  await page.getByLabel("Restaurant").fill("Restaurant 3");
  await page.getByLabel("Note").fill(NOTE);
  await page.getByRole("button", { name: "Submit order" }).click();
  await expect(page.getByText("The order is submitted.")).toBeVisible();
  await expect(page.getByText(NOTE, { exact: true })).toBeVisible();
});

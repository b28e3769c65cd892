import { screen, within } from "@testing-library/react";
import { expect, test } from "vitest";

import { FakeApi, makeOrder } from "../testing/fake-api";
import { open } from "../testing/render";

test("shows a person's orders newest first", async () => {
  new FakeApi([makeOrder(1), makeOrder(2, { processing: "none" }), makeOrder(3, { order_status: "SUCCESS" })]);
  await open("/orders");
  const table = await screen.findByRole("table", { name: "My orders" });
  await within(table).findByText("Restaurant 1");
  const rows = within(table).getAllByRole("row").slice(1);
  expect(rows.map((row) => within(row).getByText(/^Restaurant/).textContent)).toEqual([
    "Restaurant 3",
    "Restaurant 2",
    "Restaurant 1",
  ]);
});

import type { Order } from "../api/api";
import { CONTENT, contentOf, type OrderContent } from "./content";
import { formatInstant, formatMoney } from "./format";

export interface Difference {
  label: string;
  before: string;
  after: string;
}

const instant = (value: string | undefined): string => (value ? formatInstant(value) : "-");

type Shown = [label: string, show: (order: Order) => string];

const SHOWN: Shown[] = [
  ...CONTENT.map(({ label, name }): Shown => [label, (order) => contentOf(order)[name] || "-"]),
  ["Total", (order) => formatMoney(order.total)],
  ["Status", (order) => order.order_status],
  ["Accepted", (order) => instant(order.accepted_at)],
  ["Paid", (order) => instant(order.paid_at)],
  ["Delivered", (order) => instant(order.delivered_at)],
  ["Completed", (order) => instant(order.completed_at)],
  ["Refund", (order) => order.refund ?? "-"],
];

/** What has changed from one version of an order to another. */
export const differencesOf = (before: Order, after: Order): Difference[] =>
  SHOWN.map(([label, show]) => ({ label, before: show(before), after: show(after) })).filter(
    (difference) => difference.before !== difference.after,
  );

/** Returns true if the order has that content. */
export const hasContent = (order: Order, content: OrderContent): boolean =>
  CONTENT.every(({ name }) => contentOf(order)[name] === content[name]);

import type { Order } from "../api/api";

const dateTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

export const formatInstant = (instant: string): string => dateTime.format(new Date(instant));

/** An amount in the currency's usual form. It arrives in minor units, whose number the currency decides. */
export function formatMoney(total: Order["total"]): string {
  if (!total) return "-";
  const format = new Intl.NumberFormat(undefined, { style: "currency", currency: total.currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(total.amount / 10 ** digits);
}

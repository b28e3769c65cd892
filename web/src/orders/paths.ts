import type { Order } from "../api/api";

/** Address of an order's page. */
export const pathOf = ({ user_id, id }: Pick<Order, "user_id" | "id">): string =>
  `/orders/${encodeURIComponent(user_id)}/${id}`;

/** Address of the list of a user's orders. */
export const listPathOf = (userId: string): string => `/orders?${new URLSearchParams({ user_id: userId })}`;

import { useSyncExternalStore } from "react";

import type { Order } from "../api/api";

/** Newest state of an order that this tab has seen in an answer. Lists may lag behind it. */
export interface Known {
  order: Order;
  /** Local time of the answer, in milliseconds. */
  since: number;
  /** False from the 202 until a list or a read has the order. */
  isSaved: boolean;
  /** True once a list has had the order: if it is missing there afterwards, it was deleted. */
  isListed: boolean;
  isDeleted: boolean;
}

export type KnownOrders = ReadonlyMap<string, Known>;

let known: KnownOrders = new Map();
const listeners = new Set<() => void>();

function set(order: Order, change: Partial<Known>): void {
  const before = known.get(order.id) ?? {
    order,
    since: Date.now(),
    isSaved: true,
    isListed: true,
    isDeleted: false,
  };
  const newest = order.version >= before.order.version ? order : before.order;
  known = new Map(known).set(order.id, { ...before, order: newest, ...change });
  listeners.forEach((listener) => listener());
}

/** Notes a 202: the order will be saved. */
export function noteSubmitted(order: Order): void {
  set(order, known.has(order.id) ? {} : { isSaved: false, isListed: false });
}

/** Notes an order that was read or changed. */
export function noteSaved(order: Order): void {
  set(order, { isSaved: true });
}

export function noteDeleted(order: Order): void {
  set(order, { isDeleted: true });
}

/** Notes the orders of a list. */
export function noteListed(orders: readonly Order[]): void {
  for (const order of orders) {
    if (known.get(order.id)?.isListed === false) set(order, { isSaved: true, isListed: true });
  }
}

/** Forgets everything; for tests. */
export function forgetKnown(): void {
  known = new Map();
}

export const knownOrder = (id: string): Known | undefined => known.get(id);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useKnownOrders = (): KnownOrders => useSyncExternalStore(subscribe, () => known);

/**
 * Returns a list with what this tab knows better: new orders that the list does not have yet stand first, changed orders are
 * as their change left them, and deleted ones are left out. Without a user, the list is everybody's.
 */
export function withKnown(listed: readonly Order[], known: KnownOrders, userId: string | undefined): Order[] {
  const ids = new Set(listed.map((order) => order.id));
  const added = [...known.values()]
    .filter(({ order, isListed, isDeleted }) => !isListed && !isDeleted && !ids.has(order.id))
    .filter(({ order }) => userId === undefined || order.user_id === userId)
    .map(({ order }) => order)
    // Ids sort by age.
    .sort((a, b) => (a.id < b.id ? 1 : -1));
  const current = listed
    .filter(({ id }) => !known.get(id)?.isDeleted)
    .map((order) => {
      const own = known.get(order.id)?.order;
      return own && own.version > order.version ? own : order;
    });
  return [...added, ...current];
}

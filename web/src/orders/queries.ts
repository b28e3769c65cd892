import {
  QueryClient,
  useInfiniteQuery,
  useQuery,
  type UseInfiniteQueryResult,
  useQueryClient,
} from "@tanstack/react-query";
import { useEffect, useMemo } from "react";

import type { Order, OrderKey } from "../api/api";
import { isTemporary, retryDelay } from "../api/error";
import { useApi } from "../shell/services";
import { instantOf, isMoving } from "./life";
import { knownOrder, type KnownOrders, noteDeleted, noteListed, noteSaved, useKnownOrders, withKnown } from "./known";
import { pollInterval } from "./polling";

/** An order that is not found may still be on its way for this time after its id was made. */
const ON_ITS_WAY_MS = 10 * 60_000;

export function createQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // Without this, TanStack Query would wait while the browser thinks that it is offline, and show nothing.
        networkMode: "always",
        refetchOnReconnect: true,
        retry: (failures, error) => failures < 2 && isTemporary(error),
        retryDelay,
      },
      // Without this, it would keep a write while offline and send it much later.
      mutations: { networkMode: "always" },
    },
  });
}

export interface OrderList extends Pick<
  UseInfiniteQueryResult,
  "isPending" | "error" | "hasNextPage" | "isFetchingNextPage" | "isFetching"
> {
  orders: Order[];
  loadMore: () => void;
  refresh: () => void;
}

/**
 * A user's orders, newest first; without a user, everybody's. Polls the list while one of its orders is moving.
 *
 * Everybody's list is in no particular order, so it may have a new order on a page that is not loaded. Then the first page
 * of the list of its user is polled, too.
 */
export function useOrders(userId: string | undefined): OrderList {
  const api = useApi();
  const known = useKnownOrders();
  const query = useInfiniteQuery({
    queryKey: ["orders", userId ?? null],
    queryFn: ({ pageParam, signal }) => api.list(userId, pageParam, signal),
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.next,
    refetchInterval: (query) => {
      const listed = query.state.data?.pages.flatMap((page) => page.orders) ?? [];
      const watched = userId === undefined ? listed : withKnown(listed, known, userId);
      return watched.some(isMoving) && pollInterval(query);
    },
  });
  const newUser = userId === undefined ? userOfNewOrder(known) : undefined;
  const { data: newest } = useQuery({
    queryKey: ["orders", newUser, "newest"],
    queryFn: ({ signal }) => api.list(newUser, null, signal),
    enabled: newUser !== undefined,
    refetchInterval: pollInterval,
  });
  useEffect(() => newest?.orders.filter(({ id }) => knownOrder(id)?.isListed === false).forEach(noteSaved), [newest]);
  const pages = query.data?.pages;
  const listed = useMemo(() => pages?.flatMap((page) => page.orders) ?? [], [pages]);
  const orders = useMemo(() => withKnown(listed, known, userId), [listed, known, userId]);
  useEffect(() => noteListed(listed), [listed]);
  return {
    ...query,
    orders,
    loadMore: () => void query.fetchNextPage(),
    refresh: () => void query.refetch(),
  };
}

/** Returns the user of a moving order that no list has had yet. */
const userOfNewOrder = (known: KnownOrders): string | undefined =>
  [...known.values()].find(({ order, isListed, isDeleted }) => !isListed && !isDeleted && isMoving(order))?.order
    .user_id;

export type OrderView =
  | { is: "loading" }
  | { is: "here"; order: Order; isSaved: boolean; since: number }
  | { is: "on its way"; since: number }
  | { is: "missing" }
  | { is: "failed"; error: Error };

/** One order. Reads it again while it is moving or not saved yet. */
export function useOrder(key: OrderKey): {
  view: OrderView;
  error: Error | null;
  isFetching: boolean;
  refresh: () => void;
} {
  const api = useApi();
  const known = useKnownOrders().get(key.id);
  const query = useQuery({
    queryKey: ["order", key.userId, key.id],
    queryFn: async ({ signal }) => {
      const order = await api.read(key, signal);
      const before = knownOrder(key.id);
      if (order) noteSaved(order);
      // A read is never behind, so an order that was saved and is missing was deleted.
      else if (before?.isSaved) noteDeleted(before.order);
      return order;
    },
    refetchInterval: (query) => {
      const order = query.state.data ?? known?.order;
      const waits = order ? isMoving(order) : query.state.data === null && isOnItsWay(key.id);
      return waits && !known?.isDeleted && pollInterval(query);
    },
  });
  return {
    view: viewOf(),
    error: query.error,
    isFetching: query.isFetching,
    refresh: () => void query.refetch(),
  };

  function viewOf(): OrderView {
    if (known?.isDeleted) return { is: "missing" };
    if (known?.order.user_id === key.userId) {
      return { is: "here", order: known.order, isSaved: known.isSaved, since: known.since };
    }
    if (query.data) return { is: "here", order: query.data, isSaved: true, since: query.dataUpdatedAt };
    if (query.data === null) {
      return isOnItsWay(key.id) ? { is: "on its way", since: instantOf(key.id) } : { is: "missing" };
    }
    return query.error ? { is: "failed", error: query.error } : { is: "loading" };
  }
}

/** Returns true if an order that is not found may have been submitted just now, before a reload for example. */
const isOnItsWay = (id: string): boolean => Math.abs(Date.now() - instantOf(id)) < ON_ITS_WAY_MS;

/** Asks for the lists again after a write. */
export function useRefreshLists(): () => void {
  const client = useQueryClient();
  return () => void client.invalidateQueries({ queryKey: ["orders"] });
}

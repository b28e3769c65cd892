import { useMutation } from "@tanstack/react-query";
import { useState } from "react";

import type { Order } from "../api/api";
import { statusOf } from "../api/error";
import { useApi } from "../shell/services";
import { noteDeleted, noteSaved } from "./known";
import { useRefreshLists } from "./queries";

/** One kind of write. */
interface Write<Input> {
  /** Sends it, for the version of that order. */
  send: (order: Order, input: Input) => Promise<void>;
  /** Returns true if an order is as the write would leave it: then an earlier try was carried out. */
  isDone?: (order: Order, input: Input) => boolean;
}

/**
 * A write of an order that is carried out for one version only: the one that the person saw. If the order has changed, the
 * current version is read and `current` is that one. Another try is for that version, so the person decides about it.
 */
export function useWrite<Input>(order: Order, { send, isDone }: Write<Input>) {
  const api = useApi();
  const refreshLists = useRefreshLists();
  const [seen] = useState(order);
  const [current, setCurrent] = useState(order);

  const { mutate, isPending, error } = useMutation({
    mutationFn: async (input: Input) => {
      try {
        await send(current, input);
      } catch (error) {
        const status = statusOf(error);
        if (status !== 404 && status !== 409 && status !== 412) throw error;
        const now = await api.read({ userId: seen.user_id, id: seen.id });
        if (now) {
          noteSaved(now);
          setCurrent(now);
          if (isDone?.(now, input)) return;
        } else {
          noteDeleted(seen);
        }
        throw error;
      }
    },
    onSettled: refreshLists,
  });
  return {
    seen,
    current,
    isChanged: current.version !== seen.version,
    write: mutate,
    isWriting: isPending,
    error,
    /** The error, if it says more than that the order has changed. */
    otherError: statusOf(error) === 412 ? null : error,
  };
}

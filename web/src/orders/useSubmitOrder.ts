import { useMutation } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";

import type { Order } from "../api/api";
import { isOutcomeUnknown, isTemporary, retryDelay, statusOf } from "../api/error";
import { useApi, usePerson } from "../shell/services";
import { type Attempt, freeze, frozenAttempt, thaw } from "./attempt";
import { forgetDraft } from "./draft";
import { noteSubmitted } from "./known";
import { useRefreshLists } from "./queries";

/** The same bytes are sent this often before the page asks the person. */
const TRIES = 3;

export interface Submission {
  /** Sends an order with this body. */
  submit: (body: string) => void;
  /** The attempt whose outcome is not known: nothing else can be sent before it is. */
  frozen: Attempt | undefined;
  isSending: boolean;
  /** Reason why the outcome of the frozen attempt is not known, or why the API refused the last one. */
  error: Error | null;
  sendAgain: () => void;
}

/** Returns true if an error settles the attempt: it was refused, and so was each earlier try with the same bytes. */
function settles(error: unknown): boolean {
  const status = statusOf(error);
  // A 401 and a 429 say nothing about earlier tries, and the same bytes may pass later.
  return !isOutcomeUnknown(error) && status !== 401 && status !== 429;
}

/**
 * Submits one order, at most once. The key and the bytes of an attempt are frozen before they are sent. While its outcome
 * is unknown they can only be sent again, also after a reload. A body that differs is a new attempt with a new key.
 */
export function useSubmitOrder(onSubmitted: (order: Order) => void): Submission {
  const api = useApi();
  const { userId } = usePerson();
  const refreshLists = useRefreshLists();
  const [frozen, setFrozen] = useState(() => frozenAttempt(userId));
  /** A second click may come before the button is disabled. */
  const isSending = useRef(false);
  const refused = useRef<Attempt>(undefined);

  const { mutate, ...mutation } = useMutation<Order, Error, Attempt>({
    mutationFn: ({ key, body }) => api.submit(key, body),
    retry: (failures, error) => failures < TRIES - 1 && isTemporary(error),
    retryDelay,
    // These run even if the person has left the page in the meantime.
    onSuccess: (order, attempt) => {
      if (thaw(attempt)) forgetDraft();
      noteSubmitted(order);
      refreshLists();
    },
    onError: (error, attempt) => {
      if (!settles(error)) return;
      thaw(attempt);
      setFrozen(undefined);
      refused.current = attempt;
    },
    onSettled: () => {
      isSending.current = false;
    },
  });

  const send = (attempt: Attempt) => {
    if (isSending.current) return;
    isSending.current = true;
    mutate(attempt, { onSuccess: onSubmitted });
  };
  const submit = (body: string) => {
    if (isSending.current || frozen) return;
    const key = refused.current?.body === body ? refused.current.key : crypto.randomUUID();
    const attempt = freeze({ userId, key, body });
    setFrozen(attempt);
    send(attempt);
  };
  const sendAgain = () => {
    if (frozen) send(frozen);
  };

  // An attempt from before is sent again when the form is opened, but never by itself later: the person may have left.
  const first = useRef(sendAgain);
  useEffect(() => first.current(), []);

  // After the answer the form waits for the order's page, whose code may still be loading.
  return { submit, frozen, isSending: mutation.isPending || mutation.isSuccess, error: mutation.error, sendAgain };
}

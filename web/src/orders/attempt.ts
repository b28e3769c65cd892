/** One attempt to submit an order: a repeat with the same key and the same bytes makes no second order. */
export interface Attempt {
  userId: string;
  key: string;
  body: string;
}

const STORAGE_KEY = "order-api:attempt";

/**
 * Freezes an attempt before it is sent. It survives a reload, so that it can be sent again if its answer is lost. A
 * duplicated tab gets a copy, which is harmless: the key is the same.
 */
export function freeze(attempt: Attempt): Attempt {
  window.sessionStorage.setItem(STORAGE_KEY, JSON.stringify(attempt));
  return attempt;
}

/** Returns the user's attempt whose outcome is not known. Another user's is dropped. */
export function frozenAttempt(userId: string): Attempt | undefined {
  const stored = window.sessionStorage.getItem(STORAGE_KEY);
  if (!stored) return undefined;
  const attempt = JSON.parse(stored) as Attempt;
  if (attempt.userId === userId) return attempt;
  window.sessionStorage.removeItem(STORAGE_KEY);
  return undefined;
}

/** Forgets the attempt, because its outcome is known. Returns false if it is not the one that is frozen. */
export function thaw({ userId, key }: Attempt): boolean {
  // The answer may be late: another page has sent the same bytes and got its answer, and then another order.
  if (frozenAttempt(userId)?.key !== key) return false;
  window.sessionStorage.removeItem(STORAGE_KEY);
  return true;
}

import type { Fields } from "./content";

/** An unsent form. A sign-in carries it along and back. */
export interface Draft {
  /** Page of the form. */
  path: string;
  content: Fields;
}

let draft: Draft | undefined;

export const currentDraft = (): Draft | undefined => draft;

/** Remembers the form as it is now. */
export function keepDraft(path: string, content: Draft["content"]): void {
  draft = { path, content };
}

export function forgetDraft(): void {
  draft = undefined;
}

/** Puts a draft back that a sign-in has carried. */
export function restoreDraft(kept: Draft): void {
  draft = kept;
}

/** Returns the unsent form of that page. */
export const draftOf = (path: string): Draft["content"] | undefined =>
  draft?.path === path ? draft.content : undefined;

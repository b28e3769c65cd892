import "@testing-library/jest-dom/vitest";

import { cleanup, configure } from "@testing-library/react";
import { afterAll, afterEach, beforeAll, beforeEach, vi } from "vitest";

import { forgetDraft } from "../orders/draft";
import { forgetKnown } from "../orders/known";
import { server } from "./server";

// Long, because a busy machine is slow. A test that passes does not wait for it.
configure({ asyncUtilTimeout: 20_000 });

// jsdom has no media queries.
vi.stubGlobal("matchMedia", (media: string) =>
  Object.assign(new EventTarget(), { media, matches: false, addListener: vi.fn(), removeListener: vi.fn() }),
);
// jsdom has no layout and draws nothing.
vi.stubGlobal("scrollTo", vi.fn());
HTMLCanvasElement.prototype.getContext = () => null;
// As in index.html.
document.documentElement.lang = "en";

beforeAll(() => server.listen({ onUnhandledFrame: "error" }));
beforeEach(() => {
  window.history.replaceState(null, "", "/");
  // React reports wrong markup and wrong use of its hooks there.
  vi.spyOn(console, "error").mockImplementation((...message: unknown[]) => {
    throw new Error(`console.error: ${message.map(String).join(" ")}`);
  });
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  server.resetHandlers();
  window.sessionStorage.clear();
  window.localStorage.clear();
  forgetDraft();
  forgetKnown();
});
afterAll(() => server.close());

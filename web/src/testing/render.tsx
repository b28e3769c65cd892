import { act, render } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { vi } from "vitest";

import { createApi } from "../api/api";
import type { Session } from "../auth/session";
import { createQueryClient } from "../orders/queries";
import { App } from "../shell/App";
import { CONFIG, FakeBrowser, FakeSignIn, signedIn } from "./fake-sign-in";

/** Shows the app at the browser's present address. */
export function showApp(session: Session) {
  const queryClient = createQueryClient();
  const services = { config: CONFIG, session, api: createApi(session) };
  return render(<App services={services} queryClient={queryClient} />);
}

/** Signs in and opens `path`. */
export async function open(path: string, { signIn = new FakeSignIn(), browser = new FakeBrowser() } = {}) {
  const session = await signedIn(browser, path);
  return { ...showApp(session), session, signIn, browser, user: userEvent.setup({ delay: null }) };
}

/** Lets time pass at once. Needs `useFakeTime`. */
export async function pass(seconds: number): Promise<void> {
  await act(() => vi.advanceTimersByTimeAsync(seconds * 1000));
}

/** Time goes on as usual, and `pass` lets more of it pass. */
export function useFakeTime(): void {
  vi.useFakeTimers({
    shouldAdvanceTime: true,
    toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date"],
  });
}

import { http, HttpResponse } from "msw";
import { describe, expect, test, vi } from "vitest";

import { initialContent } from "../orders/content";
import { currentDraft, forgetDraft, keepDraft } from "../orders/draft";
import { ANN, CONFIG, FakeBrowser, FakeSignIn, signedIn } from "../testing/fake-sign-in";
import { server } from "../testing/server";
import { sameOriginPath, Session } from "./session";

const address = (): string => window.location.pathname + window.location.search;

describe("a sign-in", () => {
  test("uses the code flow with PKCE, and leads back to the page from which it started", async () => {
    const signIn = new FakeSignIn();
    const browser = new FakeBrowser();
    const session = await signedIn(browser, "/orders/ann/1?a=b");
    expect(Object.fromEntries(browser.authorizeUrl.searchParams)).toMatchObject({
      client_id: CONFIG.clientId,
      response_type: "code",
      redirect_uri: "https://orders.example/",
      code_challenge_method: "S256",
      scope: "openid email orders/read orders/write",
    });
    expect(signIn.tokenRequests[0]?.get("code_verifier")).toBeTruthy();
    expect(session.person).toEqual({ userId: "ann", email: "ann@example.com", isAdmin: false });
    expect(address()).toBe("/orders/ann/1?a=b");
  });

  test("keeps tokens in memory only, so a reload signs in again", async () => {
    new FakeSignIn();
    const browser = new FakeBrowser();
    await signedIn(browser);
    expect(JSON.stringify([window.sessionStorage, window.localStorage])).not.toMatch(/access-|refresh-/);
    const reloaded = await Session.open(CONFIG, browser);
    expect(reloaded.person).toBeUndefined();
  });

  test("brings the unsent form back, for the same person only", async () => {
    const signIn = new FakeSignIn();
    const browser = new FakeBrowser();
    const session = await signedIn(browser, "/orders/new");
    keepDraft("/orders/new", { ...initialContent(), quantity: "7" });

    /** Leaves for the sign-in and comes back. */
    const signInAgain = async (session: Session) => {
      browser.left.length = 0;
      void session.refused();
      await vi.waitFor(() => browser.authorizeUrl);
      forgetDraft();
      browser.comeBack();
      return Session.open(CONFIG, browser);
    };
    const again = await signInAgain(session);
    expect(currentDraft()?.content.quantity).toBe("7");

    signIn.person = { ...ANN, sub: "bob" };
    again.accepted();
    await signInAgain(again);
    expect(currentDraft()).toBeUndefined();
  });

  test("that took hours leads back to its page and its unsent form, too", async () => {
    new FakeSignIn();
    const browser = new FakeBrowser();
    const session = await signedIn(browser, "/orders/new?a=b");
    keepDraft("/orders/new", { ...initialContent(), quantity: "7" });
    browser.left.length = 0;
    void session.refused();
    await vi.waitFor(() => browser.authorizeUrl);
    forgetDraft();

    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3 * 3_600_000 });
    browser.comeBack();
    const again = await Session.open(CONFIG, browser);
    expect(again.problem).toBeUndefined();
    expect(address()).toBe("/orders/new?a=b");
    expect(currentDraft()?.content.quantity).toBe("7");
  });

  test("that left no state behind restarts once", async () => {
    new FakeSignIn();
    const browser = new FakeBrowser();
    window.history.replaceState(null, "", "/?code=code&state=stale");
    void Session.open(CONFIG, browser);
    await vi.waitFor(() => browser.authorizeUrl);
    expect(browser.left).toHaveLength(1);
    expect(address()).toBe("/");

    // The browser keeps no state at all.
    window.sessionStorage.clear();
    browser.comeBack();
    const session = await Session.open(CONFIG, browser);
    expect(browser.left).toHaveLength(1);
    expect(session.problem?.message).toMatch("did not keep");
  });

  test("that the sign-in page refuses is not repeated by itself", async () => {
    new FakeSignIn();
    const browser = new FakeBrowser();
    window.history.replaceState(null, "", "/orders/ann/1");
    void (await Session.open(CONFIG, browser)).signIn();
    await vi.waitFor(() => browser.authorizeUrl);
    const state = browser.authorizeUrl.searchParams.get("state") ?? "";
    window.history.replaceState(null, "", `/?${new URLSearchParams({ error: "access_denied", state })}`);
    const session = await Session.open(CONFIG, browser);
    expect(session.problem?.message).toBe("access_denied");
    expect(address()).toBe("/orders/ann/1");
    expect(browser.left).toHaveLength(1);
  });
});

test.each([
  ["/orders/ann/1?a=b", "/orders/ann/1?a=b"],
  ["//evil.example/orders", "/orders"],
  ["/\\evil.example", "/orders"],
  ["/.//evil.example", "/orders"],
  ["https://evil.example/", "/orders"],
  ["javascript:alert(1)", "/orders"],
  ["", "/orders"],
])("leads back to addresses of this site only: %s", (address, expected) => {
  expect(sameOriginPath(address)).toBe(expected);
});

describe("a token that is about to expire", () => {
  test("is renewed once for requests that start together, with refresh tokens that are valid once", async () => {
    const signIn = new FakeSignIn();
    signIn.expiresIn = 30;
    const session = await signedIn();
    const tokens = await Promise.all([session.accessToken(), session.accessToken(), session.accessToken()]);
    expect(tokens).toEqual(["access-2", "access-2", "access-2"]);
    expect(await session.accessToken()).toBe("access-3");
    signIn.expiresIn = 900;
    expect(await session.accessToken()).toBe("access-4");
    expect(await session.accessToken()).toBe("access-4");
    expect(signIn.tokenRequests.slice(1).map((form) => form.get("refresh_token"))).toEqual([
      "refresh-1",
      "refresh-2",
      "refresh-3",
    ]);
  });

  test.each([
    ["its refresh token is refused", (signIn: FakeSignIn) => signIn.endSession()],
    [
      "the new ID token is of another sign-in",
      (signIn: FakeSignIn) => {
        signIn.person = { ...ANN, auth_time: 2 };
      },
    ],
  ])("leads to the sign-in if %s", async (_, change) => {
    const signIn = new FakeSignIn({ ...ANN, auth_time: 1 });
    signIn.expiresIn = 30;
    const browser = new FakeBrowser();
    const session = await signedIn(browser);
    change(signIn);
    browser.left.length = 0;
    void session.accessToken();
    void session.accessToken();
    await vi.waitFor(() => browser.authorizeUrl);
    expect(browser.left).toHaveLength(1);
  });

  test("stays if the sign-in does not answer, and is renewed later", async () => {
    const signIn = new FakeSignIn();
    signIn.expiresIn = 30;
    const browser = new FakeBrowser();
    const session = await signedIn(browser);
    browser.left.length = 0;
    for (const answer of [() => HttpResponse.error(), () => HttpResponse.text("Oops", { status: 503 })]) {
      signIn.tokenAnswer = answer;
      await expect(session.accessToken()).rejects.toThrow();
    }
    signIn.tokenAnswer = undefined;
    expect(await session.accessToken()).toBe("access-2");
    expect(browser.left).toHaveLength(0);
  });
});

test("an API that refuses fresh tokens makes no loop", async () => {
  new FakeSignIn();
  const browser = new FakeBrowser();
  const session = await signedIn(browser);
  browser.left.length = 0;
  void session.refused();
  await vi.waitFor(() => browser.authorizeUrl);
  browser.comeBack();
  const again = await Session.open(CONFIG, browser);
  await again.refused();
  expect(browser.left).toHaveLength(1);

  again.accepted();
  browser.left.length = 0;
  void again.refused();
  await vi.waitFor(() => browser.authorizeUrl);
});

test("a sign-out revokes the tab's refresh token, clears, ends Cognito's session, and the other tabs follow", async () => {
  const signIn = new FakeSignIn();
  const [here, there] = [new FakeBrowser(), new FakeBrowser()];
  const session = await signedIn(here);
  await signedIn(there);
  window.sessionStorage.setItem("order-api:attempt", "{}");

  await session.signOut();
  expect(signIn.revoked).toContain("refresh-1");
  expect(here.left.at(-1)).toBe(
    "https://sign-in.example/logout?client_id=web&logout_uri=https%3A%2F%2Forders.example%2F",
  );
  expect(window.sessionStorage).toHaveLength(0);
  await vi.waitFor(() => expect(there.left.at(-1)).toBe("/"));
  expect(signIn.revoked).toContain("refresh-2");
});

test("a sign-out goes on if the token can't be revoked", async () => {
  new FakeSignIn();
  const browser = new FakeBrowser();
  const session = await signedIn(browser);
  server.use(http.post(`${CONFIG.signInUrl}/oauth2/revoke`, () => HttpResponse.error()));
  await session.signOut();
  expect(browser.left.at(-1)).toMatch("/logout?");
});

import { http, HttpResponse } from "msw";
import type { INavigator } from "oidc-client-ts";

import { vi } from "vitest";

import { type Browser, Session } from "../auth/session";
import type { Config } from "../config";
import { server } from "./server";

export const CONFIG: Config = {
  authority: "https://issuer.example/pool",
  clientId: "web",
  signInUrl: "https://sign-in.example",
  unitPrice: { amount: 1000, currency: "EUR" },
};

interface Claims {
  sub: string;
  email?: string;
  auth_time?: number;
  "cognito:groups"?: string[];
}

export const ANN: Claims = { sub: "ann", email: "ann@example.com" };
export const ADMIN: Claims = { sub: "root", email: "root@example.com", "cognito:groups": ["admins"] };

const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString("base64url");
const jwt = (claims: object): string => `${encode({ alg: "none" })}.${encode(claims)}.signature`;

/** The hosted sign-in: its token endpoint gives each refresh token once, and refuses a used one. */
export class FakeSignIn {
  person: Claims;
  expiresIn = 900;
  /** Answers the next requests for tokens in its place. */
  tokenAnswer: (() => Response) | undefined;
  readonly tokenRequests: URLSearchParams[] = [];
  readonly revoked: string[] = [];
  #count = 0;
  #valid: string | undefined;

  constructor(person: Claims = ANN) {
    this.person = person;
    server.use(
      http.post(`${CONFIG.signInUrl}/oauth2/token`, async ({ request }) => {
        const form = new URLSearchParams(await request.text());
        this.tokenRequests.push(form);
        if (this.tokenAnswer) return this.tokenAnswer();
        if (form.get("grant_type") === "refresh_token" && form.get("refresh_token") !== this.#valid) {
          return HttpResponse.json({ error: "invalid_grant" }, { status: 400 });
        }
        this.#count += 1;
        this.#valid = `refresh-${this.#count}`;
        const now = Math.floor(Date.now() / 1000);
        return HttpResponse.json({
          access_token: `access-${this.#count}`,
          id_token: jwt({ ...this.person, iss: CONFIG.authority, aud: CONFIG.clientId, iat: now, exp: now + 900 }),
          refresh_token: this.#valid,
          token_type: "Bearer",
          expires_in: this.expiresIn,
        });
      }),
      http.post(`${CONFIG.signInUrl}/oauth2/revoke`, async ({ request }) => {
        this.revoked.push(new URLSearchParams(await request.text()).get("token") ?? "");
        return new HttpResponse(null, { status: 200 });
      }),
    );
  }

  /** Makes the refresh tokens that were given so far invalid. */
  endSession(): void {
    this.#valid = undefined;
  }
}

/** A browser that notes where it is sent instead of going there. */
export class FakeBrowser implements Browser {
  readonly left: string[] = [];
  readonly redirects: INavigator;
  readonly leave = (url: string): void => {
    this.left.push(url);
  };

  constructor() {
    const navigate = ({ url }: { url: string }) => {
      this.left.push(url);
      return Promise.resolve({ url });
    };
    this.redirects = {
      prepare: () => Promise.resolve({ navigate, close: () => undefined }),
      callback: () => Promise.resolve(),
    };
  }

  /** Address of the sign-in to which the browser was sent last. */
  get authorizeUrl(): URL {
    const url = this.left.findLast((url) => url.startsWith(`${CONFIG.signInUrl}/oauth2/authorize`));
    if (!url) throw new Error(`The browser was not sent to the sign-in, but to: ${this.left.join(", ")}`);
    return new URL(url);
  }

  /** Comes back from that sign-in. */
  comeBack(): void {
    const state = this.authorizeUrl.searchParams.get("state") ?? "";
    window.history.replaceState(null, "", `/?${new URLSearchParams({ code: "code", state })}`);
  }
}

/** Opens `path` as a person who signs in on the way. */
export async function signedIn(browser = new FakeBrowser(), path = "/orders"): Promise<Session> {
  window.history.replaceState(null, "", path);
  const before = await Session.open(CONFIG, browser);
  browser.left.length = 0;
  void before.signIn();
  await vi.waitFor(() => browser.authorizeUrl);
  browser.comeBack();
  return Session.open(CONFIG, browser);
}

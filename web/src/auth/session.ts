import {
  ErrorResponse,
  type INavigator,
  InMemoryWebStorage,
  SigninState,
  type User,
  UserManager,
  WebStorageStateStore,
} from "oidc-client-ts";

import type { Config } from "../config";
import { currentDraft, type Draft, restoreDraft } from "../orders/draft";

/** The person who is signed in, for the page to show. The API decides by the access token. */
export interface Person {
  userId: string;
  email: string | undefined;
  isAdmin: boolean;
}

/** What the page knows again after a sign-in. It waits in sessionStorage, with the PKCE verifier. */
interface Start {
  returnTo: string;
  userId: string | undefined;
  draft: Draft | undefined;
  /** True if the API refused the token of the sign-in before. */
  isRepeat: boolean;
}

/** The browser, as far as a session leaves the page through it. Tests have another one. */
export interface Browser {
  leave: (url: string) => void;
  redirects?: INavigator;
}

/** Mark in the `state` of a sign-in that was restarted. It is in the URL, since the stored state is what was missing. */
const RESTARTED = "restarted";

/** Tokens with less time than this are renewed before they are used. */
const RENEW_BEFORE_SECONDS = 60;

const never = new Promise<never>(() => undefined);

/**
 * The sign-in of this tab. Its tokens are in memory only: another tab has its own, and a reload signs in again, which asks
 * nothing while Cognito's own session lasts.
 */
export class Session {
  readonly person: Person | undefined;
  /** Reason why the sign-in that led to this page failed. */
  readonly problem: Error | undefined;

  readonly #manager: UserManager;
  readonly #config: Config;
  readonly #browser: Browser;
  readonly #tabs = new BroadcastChannel("order-api:sign-out");
  #user: User | undefined;
  #renewal: Promise<string> | undefined;
  #leaving: Promise<never> | undefined;
  readonly #start: Start | undefined;
  #isAccepted = false;

  private constructor(manager: UserManager, config: Config, browser: Browser, arrival: Arrival) {
    this.#manager = manager;
    this.#config = config;
    this.#browser = browser;
    this.#user = arrival.user;
    this.#start = arrival.start;
    this.person = arrival.user && personOf(arrival.user);
    this.problem = arrival.problem;
    this.#tabs.onmessage = () => void this.#follow();
  }

  /** Starts the session of this page. If the page is the callback of a sign-in, this completes it. */
  static async open(
    config: Config,
    browser: Browser = { leave: (url) => window.location.assign(url) },
  ): Promise<Session> {
    const stateStore = new WebStorageStateStore({ store: window.sessionStorage });
    const manager = new UserManager(
      {
        authority: config.authority,
        metadata: {
          issuer: config.authority,
          authorization_endpoint: `${config.signInUrl}/oauth2/authorize`,
          token_endpoint: `${config.signInUrl}/oauth2/token`,
          revocation_endpoint: `${config.signInUrl}/oauth2/revoke`,
        },
        client_id: config.clientId,
        redirect_uri: `${window.location.origin}/`,
        scope: "openid email orders/read orders/write",
        stateStore,
        userStore: new WebStorageStateStore({ store: new InMemoryWebStorage() }),
        // A token is renewed when a request needs it, so that a forgotten tab asks for nothing.
        automaticSilentRenew: false,
        requestTimeoutInSeconds: 10,
        silentRequestTimeoutInSeconds: 10,
      },
      browser.redirects,
    );
    const arrival = await arrive(manager, stateStore);
    // Not before: the sign-in page may have been open for longer than the library keeps the state of a sign-in.
    void manager.clearStaleState();
    const session = new Session(manager, config, browser, arrival);
    if (arrival.isStale) await session.signIn({ restarted: true });
    return session;
  }

  /** An access token for the next request. Goes to the sign-in, and never returns, if there is none any more. */
  async accessToken(): Promise<string> {
    if (!this.#user) return this.signIn();
    if ((this.#user.expires_in ?? Infinity) > RENEW_BEFORE_SECONDS) return this.#user.access_token;
    // Each refresh token is valid once, so requests that start together must share one renewal.
    this.#renewal ??= this.#renew().finally(() => {
      this.#renewal = undefined;
    });
    return this.#renewal;
  }

  async #renew(): Promise<string> {
    try {
      const user = this.#user?.refresh_token ? await this.#manager.signinSilent() : null;
      if (user) {
        this.#user = user;
        return user.access_token;
      }
    } catch (error) {
      // Without an answer the refresh token may still be valid: the caller may try again.
      if (!endsSession(error)) throw error;
    }
    return this.signIn();
  }

  /** Leaves for the sign-in, which leads back to this page and its unsent form. */
  signIn({ restarted = false, isRepeat = false } = {}): Promise<never> {
    const { pathname, search } = window.location;
    const start: Start = {
      returnTo: pathname === "/" ? "/orders" : pathname + search,
      userId: this.person?.userId ?? this.#start?.userId,
      draft: currentDraft(),
      isRepeat,
    };
    const redirect = async () => {
      await this.#manager.signinRedirect({ state: start, ...(restarted && { url_state: RESTARTED }) });
      return never;
    };
    this.#leaving ??= redirect().catch((error: unknown) => {
      this.#leaving = undefined;
      throw error;
    });
    return this.#leaving;
  }

  /** Notes that the API answered 401. Signs in again, but only once in a row: another 401 is for the page to show. */
  async refused(): Promise<void> {
    if (this.#start?.isRepeat && !this.#isAccepted) return;
    await this.signIn({ isRepeat: true });
  }

  /** Notes that the API accepted a token. */
  accepted(): void {
    this.#isAccepted = true;
  }

  /** Signs out here, at Cognito and in the other tabs. */
  async signOut(): Promise<void> {
    this.#tabs.postMessage("signed out");
    await this.#end();
    const query = new URLSearchParams({
      client_id: this.#config.clientId,
      logout_uri: `${window.location.origin}/`,
    });
    this.#browser.leave(`${this.#config.signInUrl}/logout?${query}`);
  }

  async #follow(): Promise<void> {
    if (!this.#user) return;
    await this.#end();
    this.#browser.leave("/");
  }

  async #end(): Promise<void> {
    this.#user = undefined;
    this.#leaving = never;
    window.sessionStorage.clear();
    // A token that could not be revoked is forgotten with this page, and expires.
    await this.#manager.revokeTokens(["refresh_token"]).catch(() => undefined);
    await this.#manager.removeUser();
  }
}

/**
 * Returns true if the sign-in has answered a renewal, but not with a new token for this session: it refuses the refresh
 * token, or its ID token belongs to another sign-in. The local stack's emulator does the latter.
 */
const endsSession = (error: unknown): boolean =>
  error instanceof ErrorResponse || (error instanceof Error && /id[ _]token/i.test(error.message));

interface Arrival {
  user?: User;
  start?: Start;
  problem?: Error;
  isStale?: boolean;
}

/** Completes the sign-in whose callback this page is, and restores the address and the form from which it started. */
async function arrive(manager: UserManager, stateStore: WebStorageStateStore): Promise<Arrival> {
  const url = window.location.href;
  const query = new URLSearchParams(window.location.search);
  const state = query.get("state");
  if (window.location.pathname !== "/" || !state || !(query.has("code") || query.has("error"))) return {};
  // The code is valid once, so it must not stay in the address.
  window.history.replaceState(null, "", "/");

  const [id = "", mark] = state.split(";");
  const stored = await stateStore.get(id);
  if (!stored) {
    if (mark !== RESTARTED) return { isStale: true };
    return { problem: new Error("The browser did not keep the state of the sign-in.") };
  }
  const start = startOf((await SigninState.fromStorageString(stored)).data);
  window.history.replaceState(null, "", start.returnTo);
  try {
    const user = await manager.signinRedirectCallback(url);
    if (start.draft && (start.userId ?? user.profile.sub) === user.profile.sub) restoreDraft(start.draft);
    return { user, start };
  } catch (error) {
    if (start.draft) restoreDraft(start.draft);
    return { start, problem: error instanceof Error ? error : new Error(String(error)) };
  }
}

/** Parses what was stored. The address must be on this site, whatever is stored. */
function startOf(data: unknown): Start {
  const start = (data ?? {}) as Partial<Start>;
  return {
    returnTo: sameOriginPath(start.returnTo ?? ""),
    userId: start.userId,
    draft: start.draft,
    isRepeat: start.isRepeat ?? false,
  };
}

/** Returns the path and query of an address on this site, or else the list of orders. */
export function sameOriginPath(address: string): string {
  const { origin } = window.location;
  const url = URL.canParse(address, origin) ? new URL(address, origin) : undefined;
  if (!address.startsWith("/") || url?.origin !== origin) return "/orders";
  const path = url.pathname + url.search;
  // "//" would begin the address of another site. It may be left when "/./" is resolved.
  return path.startsWith("//") ? "/orders" : path;
}

function personOf({ profile }: User): Person {
  const groups = profile["cognito:groups"];
  return { userId: profile.sub, email: profile.email, isAdmin: Array.isArray(groups) && groups.includes("admins") };
}

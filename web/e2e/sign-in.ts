/**
 * Signs a person in on the hosted pages, in a headless browser, and prints the URL of the redirect, which has the
 * authorization code. The standard input is JSON: the URL of the authorization request, the redirect URI, the person's
 * e-mail address and password. Nothing needs to listen at the redirect URI.
 */
import { text } from "node:stream/consumers";

import { chromium, type Locator, type Page } from "@playwright/test";

import { chromiumPath } from "./chromium.ts";

interface Input {
  url: string;
  redirectUri: string;
  email: string;
  password: string;
}

const TIMEOUT_MS = 60_000;

/** A field in which a person can type. The pages of Cognito have the same form twice, one of them hidden. */
function field(page: Page, types: string[]): Locator {
  const selectors = types.map((type) => `input[type=${type}]:visible`);
  return page.locator(selectors.join()).first();
}

/** Fills in the pages: both fields at once, or the address first and the password on the next page. */
async function fill(page: Page, { email, password }: Input): Promise<void> {
  const name = field(page, ["email", "text"]);
  const secret = field(page, ["password"]);
  await name.fill(email);
  if (!(await secret.isVisible())) {
    await name.press("Enter");
    await secret.waitFor();
  }
  await secret.fill(password);
  await secret.press("Enter");
}

/** Answers requests whose URLs begin like this, and tells the first. A route of Playwright would not see redirects. */
async function intercept(page: Page, start: string, tell: (url: string) => void): Promise<void> {
  const session = await page.context().newCDPSession(page);
  session.on("Fetch.requestPaused", ({ requestId, request }) => {
    tell(request.url);
    void session.send("Fetch.fulfillRequest", { requestId, responseCode: 200 });
  });
  await session.send("Fetch.enable", { patterns: [{ urlPattern: `${start}*` }] });
}

/** Returns the URL to which the sign-in redirects. */
async function signIn(input: Input): Promise<string> {
  const browser = await chromium.launch({ executablePath: await chromiumPath(), args: ["--disable-gpu"] });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(TIMEOUT_MS);
    const { promise: redirect, resolve } = Promise.withResolvers<string>();
    await intercept(page, input.redirectUri, resolve);
    const opened = await page.goto(input.url);
    if (opened && opened.status() >= 400) throw new Error(`the sign-in page answered ${opened.status()}`);
    await fill(page, input);
    const refused = page
      .getByText(/incorrect|not confirmed|does not exist|attempts exceeded/i)
      .first()
      .waitFor()
      .then(() => {
        throw new Error("the sign-in was refused");
      });
    return await Promise.race([redirect, refused]);
  } finally {
    await browser.close();
  }
}

try {
  console.log(await signIn(JSON.parse(await text(process.stdin)) as Input));
} catch (error) {
  // Playwright's log of a failure has what was typed.
  const [line] = String(error instanceof Error ? error.message : error).split("\n");
  console.error(`error: ${line}`);
  process.exitCode = 1;
}

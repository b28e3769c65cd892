import { type BrowserContext, expect, type Page, test as base } from "@playwright/test";

import { addPerson, type Person, remember } from "./stack.ts";

export { expect } from "@playwright/test";

interface Fixtures {
  /** Problems that a test provokes. Any other message of the browser's console or failed request fails the test. */
  allowed: RegExp[];
  /** A person whom no other test knows. */
  ann: Person;
}

export const test = base.extend<Fixtures>({
  // Playwright wants the pattern, even if it is empty.
  allowed: async ({}, use) => {
    await use([]);
  },
  context: async ({ context, allowed }, use) => {
    const problems = watch(context);
    await use(context);
    expect(problems.filter((problem) => !allowed.some((pattern) => pattern.test(problem)))).toEqual([]);
  },
  ann: async ({}, use) => {
    await use(await addPerson("ann"));
  },
});

/**
 * Collects the problems of all pages: errors in the console, among them all messages of the content security policy, and
 * requests that fail.
 */
function watch(context: BrowserContext): string[] {
  const problems: string[] = [];
  const pathOf = (url: string) => new URL(url).pathname;
  context.on("weberror", (error) => problems.push(String(error.error())));
  context.on("console", (message) => {
    // The events below say more.
    const isRepeated = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isRepeated) problems.push(message.text());
  });
  context.on("requestfailed", (request) => {
    const error = request.failure()?.errorText ?? "";
    // The page itself has stopped waiting, or has been left.
    if (error !== "net::ERR_ABORTED") problems.push(`${error} ${request.method()} ${pathOf(request.url())}`);
  });
  context.on("response", (response) => {
    if (response.status() >= 400) {
      problems.push(`${response.status()} ${response.request().method()} ${pathOf(response.url())}`);
    }
  });
  context.on("requestfinished", async (request) => {
    if (pathOf(request.url()) !== "/oauth2/token") return;
    const tokens = (await (await request.response())?.json()) as Record<string, unknown>;
    for (const [name, value] of Object.entries(tokens)) if (name.endsWith("_token")) remember(String(value));
  });
  return problems;
}

/** Fills in the sign-in page. */
export async function fillSignIn(page: Page, { email, password }: Pick<Person, "email" | "password">): Promise<void> {
  await page.getByLabel("Username").fill(email);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in" }).click();
}

/** Opens a page of the app, signs in and waits for the page. */
export async function open(page: Page, person: Person, path = "/orders"): Promise<void> {
  await page.goto(path);
  await fillSignIn(page, person);
  await page.waitForURL(path);
}

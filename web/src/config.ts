import type { components } from "./api/schema";

/** Settings of an environment. The same build serves every environment, so it reads them when it starts. */
export interface Config {
  /** Issuer of the tokens. */
  authority: string;
  /** Id of the user pool's client for the web. */
  clientId: string;
  /** Origin of the hosted sign-in. */
  signInUrl: string;
  /** Price of one unit, for the total that the form shows. The API computes the total that counts. */
  unitPrice?: components["schemas"]["Money"];
}

export async function loadConfig(): Promise<Config> {
  const response = await fetch("/config.json", { cache: "no-store", signal: AbortSignal.timeout(10_000) });
  if (!response.ok) throw new Error(`/config.json: ${response.status}`);
  const config = (await response.json()) as Partial<Config>;
  const { authority, clientId, signInUrl, unitPrice } = config;
  if (!authority || !clientId || !signInUrl) {
    throw new Error("/config.json must have authority, clientId and signInUrl");
  }
  return { authority, clientId, signInUrl, ...(unitPrice && { unitPrice }) };
}

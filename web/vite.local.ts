import type { IncomingMessage, ServerResponse } from "node:http";
import { text } from "node:stream/consumers";

import type { Connect, Plugin, ProxyOptions } from "vite";

/** The parts of a local stack that the web UI needs (`local/src/stack.rs`). */
interface Stack {
  endpoint: string;
  api_url: string;
  web_url: string;
  user_pool_id: string;
  web_client_id: string;
  unit_price: number;
  currency: string;
}

/**
 * Serves the web UI with a local stack, on one origin as on AWS: `/config.json`, the API under `/api`, and the emulator's
 * sign-in. The development server serves the sources. `vite preview` serves what the stack's distribution serves: the
 * files in the bucket, with the headers of the template.
 *
 * `local` hands over the stack in ORDER_API_STACK. Without that variable, or if it is empty, the plugin does nothing.
 */
export function localStack(): Plugin | undefined {
  const variable = process.env.ORDER_API_STACK;
  if (!variable) return undefined;
  const stack = JSON.parse(variable) as Stack;
  return {
    name: "local-stack",
    config: (_, { isPreview }) => ({ [isPreview ? "preview" : "server"]: { proxy: proxy(stack, isPreview) } }),
    configureServer: ({ middlewares }) => {
      serve(stack, middlewares);
    },
    configurePreviewServer: ({ middlewares }) => {
      serve(stack, middlewares);
    },
  };
}

/**
 * Serves the sources of the web UI with a deployed stack: `/config.json` and the API under `/api` come from its own web
 * UI. WEB_URL is the stack's output WebUrl. Without that variable, or with a local stack, the plugin does nothing.
 */
export function deployedStack(): Plugin | undefined {
  const { ORDER_API_STACK, WEB_URL } = process.env;
  if (ORDER_API_STACK || !WEB_URL) return undefined;
  if (!URL.canParse(WEB_URL)) throw new Error(`WEB_URL=${WEB_URL} is not a URL, such as https://orders.example.com`);
  const rule: ProxyOptions = { target: new URL(WEB_URL).origin, changeOrigin: true };
  return {
    name: "deployed-stack",
    // Cognito would not redirect to another port.
    config: () => ({ server: { strictPort: true, proxy: { "/api/": rule, "/config.json": rule } } }),
  };
}

function proxy(stack: Stack, isPreview = false): Record<string, ProxyOptions> {
  // The emulator listens on IPv4 only.
  const target = stack.endpoint.replace("localhost", "127.0.0.1");
  const api = new URL(stack.api_url).pathname;
  const rules: Record<string, ProxyOptions> = {
    "/api/": { target, changeOrigin: true, rewrite: (path) => path.replace("/api", api) },
    // The pages of the emulator's sign-in.
    "^/(oauth2/|login$|logout\\?)": { target, changeOrigin: true },
  };
  if (isPreview) {
    // The emulator knows a distribution by its host. It redirects requests that were not made by HTTPS.
    const headers = { host: new URL(stack.web_url).host, "x-forwarded-proto": "https" };
    rules["^/"] = { target, headers };
  }
  return rules;
}

function serve(stack: Stack, middlewares: Connect.Server) {
  middlewares.use("/config.json", (request, response) => {
    const [region] = stack.user_pool_id.split("_");
    const config = {
      authority: `https://cognito-idp.${region}.amazonaws.com/${stack.user_pool_id}`,
      clientId: stack.web_client_id,
      signInUrl: `http://${request.headers.host}`,
      unitPrice: { amount: stack.unit_price, currency: stack.currency },
    };
    response.setHeader("Content-Type", "application/json").end(JSON.stringify(config));
  });
  middlewares.use("/oauth2/revoke", (request, response, next) => {
    revoke(stack, request, response).catch(next);
  });
}

/** Revokes a refresh token (RFC 7009) by the user pool's own API, since the emulator has no `/oauth2/revoke`. */
async function revoke(stack: Stack, request: IncomingMessage, response: ServerResponse) {
  const form = new URLSearchParams(await text(request));
  const revoked = await fetch(stack.endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": "AWSCognitoIdentityProviderService.RevokeToken",
    },
    body: JSON.stringify({ Token: form.get("token"), ClientId: form.get("client_id") }),
  });
  response.writeHead(revoked.status).end();
}

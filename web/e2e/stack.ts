import { randomUUID } from "node:crypto";
import { appendFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** The parts of the local stack that the tests use (`local/src/stack.rs`). */
interface Stack {
  endpoint: string;
  api_url: string;
  web_url: string;
  user_pool_id: string;
  web_client_id: string;
  machine_client_id: string;
}

const variable = process.env.ORDER_API_STACK;
if (variable === undefined) throw new Error("ORDER_API_STACK is not set: start the tests with `make e2e`");

/** The local stack, which `local run` has started. */
export const stack = JSON.parse(variable) as Stack;

/** Root of the checkout. */
export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Environment of a program that works with the emulator and must not see the user's AWS account. */
export const awsEnvironment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("AWS_"))),
  AWS_ENDPOINT_URL: stack.endpoint,
  AWS_ACCESS_KEY_ID: "local",
  AWS_SECRET_ACCESS_KEY: "local",
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
};

/** Records a secret for the test that looks for secrets in the logs (`local/tests/e2e/logs.rs`). */
export function remember(secret: string): void {
  const { port } = new URL(stack.endpoint);
  appendFileSync(`${root}/target/local/emulator-${port}/secrets`, `${secret}\n`);
}

/** A person with an account. */
export interface Person {
  email: string;
  password: string;
  userId: string;
}

async function cognito<Output>(action: string, input: Record<string, unknown>): Promise<Output> {
  const response = await fetch(stack.endpoint, {
    method: "POST",
    headers: {
      "Content-Type": "application/x-amz-json-1.1",
      "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
      // The emulator checks no signature, but takes the region from it.
      Authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/eu-west-1/cognito-idp/aws4_request",
    },
    body: JSON.stringify({ UserPoolId: stack.user_pool_id, ...input }),
  });
  if (!response.ok) throw new Error(`${action}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Output;
}

/** Creates an account, by default with an address that no other test has. */
export async function addPerson(
  name: string,
  { isAdmin = false, email = `${name}.${randomUUID()}@example.com` } = {},
): Promise<Person> {
  const password = `Order-${randomUUID()}`;
  remember(password);
  const attributes = [
    { Name: "email", Value: email },
    { Name: "email_verified", Value: "true" },
  ];
  const created = await cognito<{ User: { Attributes: { Name: string; Value: string }[] } }>("AdminCreateUser", {
    Username: email,
    UserAttributes: attributes,
    MessageAction: "SUPPRESS",
  });
  await cognito("AdminSetUserPassword", { Username: email, Password: password, Permanent: true });
  if (isAdmin) await cognito("AdminAddUserToGroup", { Username: email, GroupName: "admins" });
  const userId = created.User.Attributes.find(({ Name }) => Name === "sub")?.Value;
  if (userId === undefined) throw new Error("the account has no id");
  return { email, password, userId };
}

async function machineToken(): Promise<string> {
  const ClientId = stack.machine_client_id;
  const described = await cognito<{ UserPoolClient: { ClientSecret: string } }>("DescribeUserPoolClient", { ClientId });
  const credentials = btoa(`${ClientId}:${described.UserPoolClient.ClientSecret}`);
  const response = await fetch(`${stack.endpoint}/oauth2/token`, {
    method: "POST",
    headers: { Authorization: `Basic ${credentials}` },
    body: new URLSearchParams({ grant_type: "client_credentials" }),
  });
  const { access_token } = (await response.json()) as { access_token: string };
  remember(access_token);
  return access_token;
}

let token: Promise<string> | undefined;

/** Sends a request to the API as an admin machine and returns the body of its answer. */
export async function api<Output>(method: string, path: string, body?: unknown): Promise<Output> {
  token ??= machineToken();
  const response = await fetch(`${stack.api_url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${await token}`, "Content-Type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
  return (await response.json()) as Output;
}

/** An order, as far as the tests look at it. */
export interface Order {
  id: string;
  user_id: string;
  quantity: string;
  order_status: string;
}

/** Records an order of this person. Nothing processes it, so it can be changed at any time. */
export function recordOrder({ userId }: Person, quantity = 3): Promise<Order> {
  return api("PUT", "/orders", { user_id: userId, restaurant_id: "Restaurant 3", quantity });
}

/** Returns the newest orders of this person, up to 100. */
export function ordersOf({ userId }: Person): Promise<Order[]> {
  return api("GET", `/orders?user_id=${encodeURIComponent(userId)}&limit=100`);
}

/**
 * The gate: an HTTP proxy between the functions and the emulator that enforces IAM.
 *
 *     node gate.ts PORT EMULATOR RECORD
 *
 * A function calls AWS at `/{stack}/{function}/`. `local` puts each deployment at `/{stack}`; the policies of its
 * functions are those of SAM's translation of template.yaml, with the values of this deployment. A call that they do
 * not allow is answered as AWS answers it. All calls are recorded, because a function may hide the error.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { Agent, type IncomingMessage, type ServerResponse, createServer, request as send } from "node:http";
import type { Socket } from "node:net";
import { dirname } from "node:path";

import { Unknown, callsOf } from "./calls.ts";
import { intoModel } from "./model.ts";
import { type Call, type Role, roleMay, roleOf } from "./policies.ts";
import { type Records } from "./records.ts";
import { type Deployment, Stack, translate } from "./template.ts";

const [port = "", emulator = "", recordFile = ""] = process.argv.slice(2);
const upstream = new URL(emulator);

/** A call that is refused. */
class Refused extends Error {}

const template = translate();
const stacks = new Map<string, Promise<Admitted>>();
const records = new Map<string, Records[number]>();

function record(owner: string, { action, resource }: Call, allowed: boolean): void {
  const key = [owner, action, resource, allowed].join(" ");
  let found = records.get(key);
  if (!found) {
    records.set(key, (found = { owner, action, resource, allowed, count: 0 }));
    if (!allowed) console.error(`The gate refuses: ${owner} ${action} ${resource}`);
  }
  found.count++;
  save();
}

let saving: NodeJS.Timeout | undefined;

/** Writes the record soon. Not at the end: the process may be killed. */
function save(): void {
  saving ??= setTimeout(() => {
    saving = undefined;
    mkdirSync(dirname(recordFile), { recursive: true });
    // Whole or not at all, for whoever reads it meanwhile.
    writeFileSync(`${recordFile}.new`, JSON.stringify([...records.values()], undefined, 1));
    renameSync(`${recordFile}.new`, recordFile);
  }, 200);
}

/** A deployment and the decisions about its functions. */
class Admitted {
  private readonly stack: Stack;
  private readonly intoModel: (resource: string) => string;
  private readonly roles = new Map<string, Role>();
  private readonly decisions = new Map<string, Promise<boolean>>();

  constructor(stack: Stack) {
    this.stack = stack;
    this.intoModel = intoModel(stack);
  }

  /** Throws if the function, by its name in `functions/`, may not make this call. */
  async check(folder: string, call: Call): Promise<void> {
    const owner = ownerOf(folder);
    let role = this.roles.get(owner);
    if (!role) this.roles.set(owner, (role = roleOf(this.stack, owner)));
    const key = [owner, call.action, call.resource].join(" ");
    let decision = this.decisions.get(key);
    if (!decision) this.decisions.set(key, (decision = roleMay(role.arn, role.documents, call)));
    const allowed = await decision;
    record(owner, { ...call, resource: this.intoModel(call.resource) }, allowed);
    if (allowed) return;
    const who = `${role.arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/")}/${folder}`;
    const why = `because no identity-based policy allows the ${call.action} action`;
    const what = `${call.action} on resource: ${call.resource}`;
    throw new Refused(`User: ${who} is not authorized to perform: ${what} ${why}`);
  }
}

/** get-orders is GetOrdersFunction in the template. */
function ownerOf(folder: string): string {
  return `${folder.replace(/(^|-)(.)/g, (_, _dash, letter: string) => letter.toUpperCase())}Function`;
}

/** Checks a request, and returns its path without that of its function. */
async function check(request: IncomingMessage, body: string): Promise<string> {
  const [, name = "", folder = "", path = ""] = /^\/([^/]+)\/([^/]+)(\/.*)?$/.exec(request.url ?? "") ?? [];
  const target = request.headers["x-amz-target"]?.toString();
  const unknown = (message: string): Refused => {
    record(folder ? ownerOf(folder) : "nobody", { action: target ?? "unknown", resource: message }, false);
    return new Refused(message);
  };
  const stack = await stacks.get(name);
  if (!stack) throw unknown(`a call from ${request.url}, which is no function of a deployed stack`);
  let calls: Call[];
  try {
    calls = callsOf(target, body);
  } catch (error) {
    if (error instanceof Unknown || error instanceof SyntaxError) throw unknown(error.message);
    throw error;
  }
  for (const call of calls) await stack.check(folder, call);
  return path || "/";
}

/** Answers as AWS does: in JSON with 400, or in XML with 403 in the query protocol of SNS. */
function refuse(request: IncomingMessage, response: ServerResponse, { message }: Refused): void {
  if (request.headers["x-amz-target"] !== undefined) {
    const type = request.headers["content-type"] ?? "application/x-amz-json-1.0";
    response.writeHead(400, { "content-type": type, "x-amzn-errortype": "AccessDeniedException" });
    response.end(JSON.stringify({ __type: "AccessDeniedException", message, Message: message }));
  } else {
    const escaped = message.replace(/&/g, "&amp;").replace(/</g, "&lt;");
    response.writeHead(403, { "content-type": "text/xml" });
    response.end(
      '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>' +
        `<Code>AuthorizationError</Code><Message>${escaped}</Message></Error></ErrorResponse>`,
    );
  }
}

const agents = new WeakMap<Socket, Agent>();

/** The one connection to the emulator that a connection of a function has. */
function agentOf(socket: Socket): Agent {
  let agent = agents.get(socket);
  if (!agent) {
    const made = (agent = new Agent({ keepAlive: true, maxSockets: 1 }));
    agents.set(socket, made);
    socket.on("close", () => made.destroy());
  }
  return agent;
}

/** Passes a request on. Whatever happens to the one connection happens to the other. */
function forward(request: IncomingMessage, body: Buffer, path: string, response: ServerResponse): void {
  const { hostname, port, host } = upstream;
  const headers = { ...request.headers, host };
  const outgoing = send(
    { hostname, port, method: request.method, path, headers, agent: agentOf(request.socket) },
    (answer) => {
      const { connection: _, ...kept } = answer.headers;
      response.writeHead(answer.statusCode ?? 502, kept);
      answer.pipe(response);
      answer.on("error", () => request.socket.destroy());
    },
  );
  outgoing.on("error", () => request.socket.destroy());
  response.on("close", () => {
    if (!response.writableFinished) outgoing.destroy();
  });
  outgoing.end(body);
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = Buffer.concat(await Array.fromAsync(request));
  if (request.method === "PUT") {
    const deployment = JSON.parse(body.toString()) as Deployment;
    const admitted = template.then((one) => new Admitted(new Stack(one, deployment)));
    stacks.set(deployment.name, admitted);
    await admitted;
    response.writeHead(204).end();
    return;
  }
  // A function opens its connections by an unsigned request, which needs no right (`shared::aws::connect`).
  if (request.method === "GET" && request.url === "/ping" && !request.headers.authorization) {
    forward(request, body, "/ping", response);
    return;
  }
  try {
    forward(request, body, await check(request, body.toString()), response);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    refuse(request, response, error);
  }
}

const server = createServer((request, response) => {
  answer(request, response).catch((error: unknown) => {
    if (request.socket.destroyed) return;
    // What can't be evaluated is a fault of the template or of the gate. It must not pass.
    console.error("The gate fails:", error);
    record("nobody", { action: "unknown", resource: String(error) }, false);
    request.socket.destroy();
  });
});
// Functions keep their connections between calls.
server.keepAliveTimeout = 0;
server.listen(Number(port), "127.0.0.1");

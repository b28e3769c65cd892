/** The gate as a process, between a client and a service that notes its requests. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { createServer as createHttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import type { Records } from "./records.ts";

const folder = mkdtempSync(join(tmpdir(), "gate-"));
const record = join(folder, "calls.json");
const requests: string[] = [];
const service = createHttpServer((request, response) => {
  request.resume().on("end", () => {
    requests.push(`${request.method} ${request.url} ${request.headers["x-amz-target"] ?? ""}`.trim());
    response.writeHead(request.url === "/ping" ? 404 : 200, { "content-type": "application/x-amz-json-1.0" }).end("{}");
  });
});
let gate: ChildProcess;
let url: string;

const listening = (server: ReturnType<typeof createServer>) =>
  new Promise<number>((done) => server.listen(0, "127.0.0.1", () => done((server.address() as AddressInfo).port)));

before(async () => {
  const emulator = `http://127.0.0.1:${await listening(service)}`;
  const free = createServer();
  const port = await listening(free);
  await new Promise((done) => free.close(done));
  url = `http://127.0.0.1:${port}`;
  const script = join(import.meta.dirname, "gate.ts");
  gate = spawn(process.execPath, [script, String(port), emulator, record], { stdio: "ignore" });
  const resources = {
    OrdersTable: "stack-OrdersTable-1",
    IdempotencyTable: "stack-IdempotencyTable-1",
    OrdersQueue: "http://localhost:4566/000000000000/stack-OrdersQueue-1",
    OrdersDeadLetterQueue: "http://localhost:4566/000000000000/stack-OrdersDeadLetterQueue-1",
    RecoveryQueue: "http://localhost:4566/000000000000/stack-RecoveryQueue-1",
    RecoveryDeadLetterQueue: "http://localhost:4566/000000000000/stack-RecoveryDeadLetterQueue-1",
    NotificationsTopic: "arn:aws:sns:eu-west-1:000000000000:stack-NotificationsTopic-1",
    AlarmsTopic: "arn:aws:sns:eu-west-1:000000000000:stack-AlarmsTopic-1",
    OrderStateMachine: "arn:aws:states:eu-west-1:000000000000:stateMachine:stack-OrderStateMachine-1",
    GetOrderFunctionRole: "stack-GetOrderFunctionRole-1",
    CompleteOrderFunctionRole: "stack-CompleteOrderFunctionRole-1",
  };
  const body = JSON.stringify({ name: "stack", parameters: {}, resources });
  for (;;) {
    const put = await fetch(`${url}/stack`, { method: "PUT", body }).catch(() => undefined);
    if (put) return assert.equal(put.status, 204);
    assert.equal(gate.exitCode, null, "the gate has ended");
    await new Promise((done) => setTimeout(done, 50));
  }
});

after(() => {
  gate.kill("SIGKILL");
  service.close();
  service.closeAllConnections();
  rmSync(folder, { recursive: true });
});

function dynamoDb(path: string, operation: string, table: string): Promise<Response> {
  const headers = { "x-amz-target": `DynamoDB_20120810.${operation}`, "content-type": "application/x-amz-json-1.0" };
  return fetch(url + path, { method: "POST", headers, body: JSON.stringify({ TableName: table }) });
}

/** Requests that have reached the service since the last look. */
const arrived = () => requests.splice(0);

test("a call that the role allows is passed on, without the path of its function", async () => {
  const answer = await dynamoDb("/stack/get-order/", "GetItem", "stack-OrdersTable-1");
  assert.deepEqual([answer.status, await answer.text()], [200, "{}"]);
  assert.deepEqual(arrived(), ["POST / DynamoDB_20120810.GetItem"]);
});

test("a call that no policy allows is answered as AWS answers it, and goes no further", async () => {
  const answer = await dynamoDb("/stack/get-order/", "PutItem", "stack-OrdersTable-1");
  assert.equal(answer.status, 400);
  const { __type, message } = (await answer.json()) as { __type: string; message: string };
  assert.equal(__type, "AccessDeniedException");
  const table = "arn:aws:dynamodb:eu-west-1:000000000000:table/stack-OrdersTable-1";
  const role = "arn:aws:sts::000000000000:assumed-role/stack-GetOrderFunctionRole-1/get-order";
  assert.match(
    message,
    new RegExp(`^User: ${role} is not authorized to perform: dynamodb:PutItem on resource: ${table} `),
  );
  assert.deepEqual(arrived(), []);
});

test("the query protocol has its own refusal", async () => {
  const publish = (topic: string) =>
    fetch(`${url}/stack/complete-order/`, {
      method: "POST",
      body: new URLSearchParams({ Action: "Publish", TopicArn: topic, Message: "m" }),
    });
  const topic = "arn:aws:sns:eu-west-1:000000000000:stack-NotificationsTopic-1";
  assert.equal((await publish(topic)).status, 200);
  assert.deepEqual(arrived(), ["POST /"]);
  const answer = await publish(topic.replace("Notifications", "Alarms"));
  assert.equal(answer.status, 403);
  assert.match(await answer.text(), /<Code>AuthorizationError<\/Code>/);
  assert.deepEqual(arrived(), []);
});

test("what is no known call of a function is refused", async () => {
  for (const [path, operation] of [
    ["/", "GetItem"],
    ["/ping", "GetItem"],
    ["/other/get-order/", "GetItem"],
    ["/stack/get-order/", "DeleteTable"],
  ] as const) {
    assert.equal((await dynamoDb(path, operation, "stack-OrdersTable-1")).status, 400, path);
  }
  await assert.rejects(dynamoDb("/stack/other/", "GetItem", "stack-OrdersTable-1"));
  assert.deepEqual(arrived(), []);
});

test("the unsigned request that opens a connection is passed on", async () => {
  assert.equal((await fetch(`${url}/ping`)).status, 404);
  assert.equal((await fetch(`${url}/ping`, { headers: { authorization: "AWS4-HMAC-SHA256" } })).status, 403);
  assert.deepEqual(arrived(), ["GET /ping"]);
});

test("calls are recorded in the names of the template, with their number", async () => {
  await dynamoDb("/stack/get-order/", "GetItem", "stack-OrdersTable-1");
  await dynamoDb("/stack/get-order/", "GetItem", "gone");
  const lines = () => {
    const records = existsSync(record) ? (JSON.parse(readFileSync(record, "utf8")) as Records) : [];
    return records.map((one) => `${one.owner} ${one.action} ${one.resource} ${one.allowed} ${one.count}`);
  };
  const arn = "arn:aws:dynamodb:eu-west-1:000000000000:table";
  const last = `GetOrderFunction dynamodb:GetItem ${arn}/gone false 1`;
  while (!lines().includes(last)) await new Promise((done) => setTimeout(done, 50));
  assert(lines().includes(`GetOrderFunction dynamodb:GetItem ${arn}/OrdersTable true 2`));
  assert(lines().includes(`GetOrderFunction dynamodb:PutItem ${arn}/OrdersTable false 1`));
});

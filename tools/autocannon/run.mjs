// Sends the requests that its standard input describes, and prints what came back: seconds, times in milliseconds,
// answers by status, and failures by their message. tools/load.py runs this.

import { json } from "node:stream/consumers";
import autocannon from "autocannon";

const { url, method, paths, headers, body, clients, requests, timeout } = await json(process.stdin);
let next = 0;
const run = autocannon({
  url,
  connections: clients,
  amount: requests,
  timeout,
  // Milliseconds until the end is noticed.
  sampleInt: 100,
  // A server that is gone would be asked for ever.
  bailout: 100,
  // Each path in turn, whichever client is next.
  requests: [{ method, headers, body, setupRequest: (request) => ({ ...request, path: paths[next++ % paths.length] }) }],
});
const errors = {};
run.on("reqError", ({ message }) => {
  errors[message] = (errors[message] ?? 0) + 1;
});
const { duration, latency, statusCodeStats } = await run;
const statuses = Object.fromEntries(Object.entries(statusCodeStats).map(([status, { count }]) => [status, count]));
console.log(JSON.stringify({ seconds: duration, p50: latency.p50, p99: latency.p99, statuses, errors }));

/** The policies of template.yaml, and what the check finds if one of them is wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { intoModel, model } from "./model.ts";
import { type Right, rightsOf, roleMay, roleOf } from "./policies.ts";
import type { Records } from "./records.ts";
import { type Exceptions, exceptions, faults, named } from "./rights.ts";
import { refused, serviceCalls } from "./services.ts";
import { type Properties, Stack, type Template, translate } from "./template.ts";

const template = await translate();
const stack = model(template);
const services = serviceCalls(stack);

const owners = ["AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"].flatMap((type) => [...stack.ofType(type)]);
const rights: Right[] = owners.flatMap(([owner]) => rightsOf(owner, roleOf(stack, owner)));
/** A call for each right of each role. */
const records: Records = rights.map(({ owner, action, resource }) => {
  return { owner, action, resource: resource.replace(/:\*$/, ":any"), allowed: true, count: 1 };
});
const none: Exceptions = { unused: exceptions().unused, refused: [] };

/** The model of the template after a change. */
function changed(change: (resources: Record<string, Properties>) => void): Stack {
  const copy: Template = structuredClone(template);
  const properties = Object.entries(copy.Resources).map(([name, one]) => [name, one.Properties ?? {}] as const);
  change(Object.fromEntries(properties));
  return model(copy);
}

test("the policies allow all calls of AWS's services", async () => {
  assert.deepEqual(await refused(stack, services), []);
  // One kind of each: a poller, the state machine, a rule, a schedule, a method, a role.
  const kinds = new Set(services.map(({ by, action }) => `${by} ${action}`));
  for (const kind of [
    "StartOrderFunction sqs:ReceiveMessage",
    "OrderStateMachine lambda:InvokeFunction",
    "events.amazonaws.com sqs:SendMessage",
    "events.amazonaws.com lambda:InvokeFunction",
    "apigateway.amazonaws.com lambda:InvokeFunction",
    "states.amazonaws.com sts:AssumeRole",
  ]) {
    assert(kinds.has(kind), kind);
  }
});

const without: [string, (resources: Record<string, Properties>) => void, string[]][] = [
  [
    "the policy of a queue",
    (resources) => delete resources["RecoveryQueuePolicy"]?.["PolicyDocument"],
    ["events.amazonaws.com sqs:SendMessage RecoveryQueue"],
  ],
  [
    "the rule of a permission",
    (resources) =>
      (resources["SweepOrdersFunctionSchedulePermission"]!["SourceArn"] =
        "arn:aws:events:eu-west-1:000000000000:rule/other"),
    ["events.amazonaws.com lambda:InvokeFunction function:SweepOrdersFunction:live"],
  ],
  [
    "the policy of the state machine",
    (resources) => (resources["OrderStateMachineRole"]!["Policies"] = []),
    services.filter(({ by }) => by === "OrderStateMachine").map((call) => named(call.by, call)),
  ],
];

for (const [what, change, expected] of without) {
  test(`without ${what}, a call of a service is refused`, async () => {
    const broken = changed((resources) => {
      change(resources);
      // A policy without a document is none.
      resources["RecoveryQueuePolicy"]!["PolicyDocument"] ??= { Version: "2012-10-17", Statement: [] };
    });
    const found = await refused(broken, serviceCalls(broken));
    assert.deepEqual(
      found.map((call) => named(call.by, call)),
      expected,
    );
  });
}

test("each right is needed by the call that it is for", async () => {
  assert.deepEqual(await faults(stack, records, services, none), []);
  const right = "SaveOrderFunction dynamodb:PutItem table/IdempotencyTable";
  const others = records.filter((one) => named(one.owner, one) !== right);
  assert.deepEqual(await faults(stack, others, services, none), [`needed by no call: ${right}`]);
});

test("a role that belongs to no function needs a reason", async () => {
  const unused = none.unused.filter(({ right }) => right !== "CanaryRole");
  const found = await faults(stack, records, services, { ...none, unused });
  assert.deepEqual(found, ["needed by no call: CanaryRole"]);
});

test("a refused call and a right that is needed or not needed against the list are faults", async () => {
  const more: Records = [{ owner: "F", action: "sqs:SendMessage", resource: "R", allowed: false, count: 1 }];
  const listed: Exceptions = {
    unused: [...none.unused, { right: "GetOrderFunction dynamodb:GetItem table/OrdersTable", reason: "" }],
    refused: [{ call: "G sqs:SendMessage R", reason: "" }],
  };
  assert.deepEqual(await faults(stack, [...records, ...more], services, listed), [
    "refused: F sqs:SendMessage R",
    "in rights.json as refused, but was not: G sqs:SendMessage R",
    "in rights.json as unused, but a call needs it: GetOrderFunction dynamodb:GetItem table/OrdersTable",
  ]);
  const superfluous = changed((resources) => {
    const [policy] = resources["GetOrderFunctionRole"]!["Policies"] as Properties[];
    (policy!["PolicyDocument"] as { Statement: Properties[] }).Statement.push({
      Effect: "Allow",
      Action: "sqs:SendMessage",
      Resource: { "Fn::GetAtt": ["OrdersQueue", "Arn"] },
    });
  });
  assert.deepEqual(await faults(superfluous, records, services, none), [
    "needed by no call: GetOrderFunction sqs:SendMessage OrdersQueue",
  ]);
});

test("the names of a stack become those of the model", async () => {
  const machine = "arn:aws:states:eu-west-1:000000000000:stateMachine:stack-OrderStateMachine-1";
  const secret = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:key-AbCdEf";
  const resources = Object.fromEntries(Object.keys(template.Resources).map((name) => [name, `stack-${name}-1`]));
  resources["OrderStateMachine"] = machine;
  resources["OrdersQueue"] = "http://localhost:4566/000000000000/stack-OrdersQueue-1";
  const deployed = new Stack(template, { name: "stack", parameters: { PaymentKeySecret: secret }, resources });
  const table = "arn:aws:dynamodb:eu-west-1:000000000000:table/";
  const names = {
    [`${table}stack-OrdersTable-1`]: `${table}OrdersTable`,
    [`${table}stack-OrdersTable-1/index/unsettled`]: `${table}OrdersTable/index/unsettled`,
    [`${table}gone`]: `${table}gone`,
    "arn:aws:sqs:eu-west-1:000000000000:stack-OrdersQueue-1": "arn:aws:sqs:eu-west-1:000000000000:OrdersQueue",
    [machine]: "arn:aws:states:eu-west-1:000000000000:stateMachine:OrderStateMachine",
    [`${machine.replace("stateMachine", "execution")}:0185`]:
      "arn:aws:states:eu-west-1:000000000000:execution:OrderStateMachine:any",
    [secret]: "arn:aws:secretsmanager:eu-west-1:000000000000:secret:PaymentKeySecret",
  };
  assert.deepEqual(Object.keys(names).map(intoModel(deployed)), Object.values(names));
  // The stack has one secret, so a function may read that one, and has no right for the other.
  const role = roleOf(deployed, "RecoverOrderFunction");
  const read = (resource: string) =>
    roleMay(role.arn, role.documents, { action: "secretsmanager:GetSecretValue", resource });
  assert.deepEqual([await read(secret), await read(`${secret}2`)], [true, false]);
});

/** The calls that requests of the AWS SDK stand for. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { Unknown, callsOf } from "./calls.ts";

const TABLE = "arn:aws:dynamodb:eu-west-1:000000000000:table/orders";
const MACHINE = "arn:aws:states:eu-west-1:000000000000:stateMachine:machine";
const EXECUTION = "arn:aws:states:eu-west-1:000000000000:execution:machine:order";
const TOPIC = "arn:aws:sns:eu-west-1:000000000000:topic";
const SECRET = "arn:aws:secretsmanager:eu-west-1:000000000000:secret:key-AbCdEf";
const QUEUE = "http://localhost:4566/000000000000/orders";

const known: [string, object, string[]][] = [
  ["DynamoDB_20120810.GetItem", { TableName: "orders" }, [`dynamodb:GetItem ${TABLE}`]],
  ["DynamoDB_20120810.PutItem", { TableName: TABLE }, [`dynamodb:PutItem ${TABLE}`]],
  ["DynamoDB_20120810.Query", { TableName: "orders" }, [`dynamodb:Query ${TABLE}`]],
  ["DynamoDB_20120810.Query", { TableName: "orders", IndexName: "late" }, [`dynamodb:Query ${TABLE}/index/late`]],
  [
    "DynamoDB_20120810.TransactWriteItems",
    {
      TransactItems: [
        { Put: { TableName: "orders" } },
        { Update: { TableName: "orders" } },
        { Delete: { TableName: "records" } },
        { ConditionCheck: { TableName: "orders" } },
      ],
    },
    [
      `dynamodb:PutItem ${TABLE}`,
      `dynamodb:UpdateItem ${TABLE}`,
      `dynamodb:DeleteItem ${TABLE.replace("orders", "records")}`,
      `dynamodb:ConditionCheckItem ${TABLE}`,
    ],
  ],
  ["AmazonSQS.SendMessage", { QueueUrl: QUEUE }, ["sqs:SendMessage arn:aws:sqs:eu-west-1:000000000000:orders"]],
  [
    "AmazonSQS.SendMessage",
    { QueueUrl: QUEUE.replace("000000000000", "111111111111") },
    ["sqs:SendMessage arn:aws:sqs:eu-west-1:111111111111:orders"],
  ],
  ["AWSStepFunctions.StartExecution", { stateMachineArn: MACHINE }, [`states:StartExecution ${MACHINE}`]],
  ["AWSStepFunctions.ListExecutions", { stateMachineArn: MACHINE }, [`states:ListExecutions ${MACHINE}`]],
  ["AWSStepFunctions.DescribeExecution", { executionArn: EXECUTION }, [`states:DescribeExecution ${EXECUTION}`]],
  ["secretsmanager.GetSecretValue", { SecretId: SECRET }, [`secretsmanager:GetSecretValue ${SECRET}`]],
];

for (const [target, body, expected] of known) {
  test(`${target} ${JSON.stringify(body)}`, () => {
    const calls = callsOf(target, JSON.stringify(body)).map(({ action, resource }) => `${action} ${resource}`);
    assert.deepEqual(calls, expected);
  });
}

test("a message to a topic is in the query protocol", () => {
  const body = new URLSearchParams({ Action: "Publish", TopicArn: TOPIC, Message: "{}" }).toString();
  assert.deepEqual(callsOf(undefined, body), [{ action: "sns:Publish", resource: TOPIC }]);
});

const unknown: [string | undefined, string][] = [
  ["DynamoDB_20120810.DeleteTable", `{"TableName":"orders"}`],
  ["DynamoDB_20120810.ExecuteStatement", `{"Statement":"SELECT * FROM orders"}`],
  ["DynamoDB_20120810.GetItem", "{}"],
  ["DynamoDB_20120810.TransactWriteItems", `{"TransactItems":[]}`],
  ["DynamoDB_20120810.TransactWriteItems", `{"TransactItems":[{"Other":{"TableName":"orders"}}]}`],
  ["AmazonSQS.PurgeQueue", `{"QueueUrl":"${QUEUE}"}`],
  ["AmazonSQS.SendMessage", `{"QueueUrl":"http://localhost:4566/orders"}`],
  ["AWSStepFunctions.DeleteStateMachine", `{"stateMachineArn":"${MACHINE}"}`],
  ["secretsmanager.GetSecretValue", `{"SecretId":"key"}`],
  ["Other.GetItem", `{"TableName":"orders"}`],
  [undefined, "Action=DeleteTopic"],
  [undefined, "Action=Publish&PhoneNumber=%2B1"],
  [undefined, ""],
];

for (const [target, body] of unknown) {
  test(`${target ?? "the query protocol"} ${body} is refused`, () => {
    assert.throws(() => callsOf(target, body), Unknown);
  });
}

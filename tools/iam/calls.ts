/** The actions and resources of a request to AWS (Service Authorization Reference). */
import type { Call } from "./policies.ts";
import { arn } from "./template.ts";

/** A request that stands for no call that is known here. It is refused, so nothing passes unseen. */
export class Unknown extends Error {}

interface Body {
  [field: string]: unknown;
}

function field(body: Body, name: string): string {
  const value = body[name];
  if (typeof value !== "string" || value === "") throw new Unknown(`a request without ${name}`);
  return value;
}

function table(body: Body): string {
  const name = field(body, "TableName");
  return name.startsWith("arn:") ? name : arn("dynamodb", `table/${name}`);
}

/** Operations whose action has the same name, and the table or the index as its resource. */
const ON_A_TABLE = ["GetItem", "PutItem", "UpdateItem", "DeleteItem", "Query", "Scan"];

/** A transaction needs the right of each of its parts. */
const PARTS: Record<string, string> = {
  Put: "PutItem",
  Update: "UpdateItem",
  Delete: "DeleteItem",
  ConditionCheck: "ConditionCheckItem",
};

function dynamoDb(operation: string, body: Body): Call[] {
  if (operation === "TransactWriteItems") {
    const items = body["TransactItems"];
    if (!Array.isArray(items) || items.length === 0) throw new Unknown("a transaction without items");
    return items.flatMap((item) =>
      Object.entries(item as Record<string, Body>).map(([part, write]) => {
        const action = PARTS[part];
        if (!action) throw new Unknown(`${part} in a transaction`);
        return { action: `dynamodb:${action}`, resource: table(write) };
      }),
    );
  }
  if (!ON_A_TABLE.includes(operation)) throw new Unknown(operation);
  const index = body["IndexName"] === undefined ? "" : `/index/${field(body, "IndexName")}`;
  return [{ action: `dynamodb:${operation}`, resource: table(body) + index }];
}

function queue(body: Body): string {
  // https://sqs.eu-west-1.amazonaws.com/000000000000/name
  const [, account, name] = new URL(field(body, "QueueUrl")).pathname.split("/");
  if (!account || !name) throw new Unknown(`the queue ${field(body, "QueueUrl")}`);
  return arn("sqs", name).replace(/[0-9]{12}/, account);
}

/** Field with the ARN that is the resource of an operation of Step Functions. */
const MACHINES: Record<string, string> = {
  StartExecution: "stateMachineArn",
  ListExecutions: "stateMachineArn",
  DescribeExecution: "executionArn",
  StopExecution: "executionArn",
  GetExecutionHistory: "executionArn",
};

function secret(body: Body): string {
  const id = field(body, "SecretId");
  // The ARN of a secret ends with characters that its name does not tell. The template takes ARNs only.
  if (!id.startsWith("arn:")) throw new Unknown("a secret that is named without its ARN");
  return id;
}

/** Returns what a request needs a right for. `target` is the header X-Amz-Target of the JSON protocols. */
export function callsOf(target: string | undefined, body: string): Call[] {
  // The query protocol, of which SNS is the only service here.
  if (target === undefined) {
    const form = Object.fromEntries(new URLSearchParams(body));
    if (form["Action"] !== "Publish") throw new Unknown(form["Action"] ?? "a request without an action");
    return [{ action: "sns:Publish", resource: field(form, "TopicArn") }];
  }
  const [service = "", operation = ""] = target.split(".");
  const json = JSON.parse(body) as Body;
  switch (service) {
    case "DynamoDB_20120810":
      return dynamoDb(operation, json);
    case "AmazonSQS":
      if (operation === "SendMessage") return [{ action: "sqs:SendMessage", resource: queue(json) }];
      break;
    case "AWSStepFunctions": {
      const machine = MACHINES[operation];
      if (machine) return [{ action: `states:${operation}`, resource: field(json, machine) }];
      break;
    }
    case "secretsmanager":
      if (operation === "GetSecretValue") return [{ action: `${service}:${operation}`, resource: secret(json) }];
      break;
  }
  throw new Unknown(target);
}

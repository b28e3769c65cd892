/**
 * The calls that AWS's services make for a stack, which the emulator makes without asking the policies: from the
 * template's own rules, mappings, methods and tasks.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Call, resolved, roleMay, roleOf, serviceMay } from "./policies.ts";
import { type Properties, ROOT, type Stack, type Value, arn, list, text } from "./template.ts";

/** A call of a service: by a role of the stack, or by a service that the policy of the resource names. */
export interface ServiceCall extends Call {
  /** The function or the state machine whose role is used, or the service. */
  by: string;
  usesRole: boolean;
  /** The ARN for which a service calls. */
  source?: string;
}

/** Actions of Lambda's poller (AWS Lambda Developer Guide, "Execution role permissions" of Amazon SQS). */
const POLLER = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];

const LAMBDA = "lambda:InvokeFunction";

/** Returns the function to whose alias this value refers. */
function functionOf(stack: Stack, alias: Value | undefined): string {
  const properties = stack.template.Resources[text((alias as Properties)["Ref"])]?.Properties;
  return text((properties?.["FunctionName"] as Properties)["Ref"]);
}

function* pollers(stack: Stack): Generator<ServiceCall> {
  for (const [, { FunctionName, EventSourceArn }] of stack.ofType("AWS::Lambda::EventSourceMapping")) {
    const [by, resource] = [functionOf(stack, FunctionName), text(stack.resolve(EventSourceArn))];
    for (const action of POLLER) yield { by, usesRole: true, action, resource };
  }
}

/** The tasks of a definition, also those in its branches. */
function tasks(value: Value): Properties[] {
  if (value === null || typeof value !== "object") return [];
  const inner = Object.values(value).flatMap((one) => tasks(one as Value));
  return !Array.isArray(value) && value["Type"] === "Task" ? [value, ...inner] : inner;
}

function* machines(stack: Stack): Generator<ServiceCall> {
  for (const [by, properties] of stack.ofType("AWS::StepFunctions::StateMachine")) {
    const file = text((properties["DefinitionS3Location"] as Properties)["Key"]);
    const substitutions = properties["DefinitionSubstitutions"] as Properties;
    for (const task of tasks(JSON.parse(readFileSync(join(ROOT, file), "utf8")) as Value)) {
      if (task["Resource"] !== "arn:aws:states:::lambda:invoke")
        throw new Error(`${task["Resource"]} is not known here`);
      const name = text(((task["Arguments"] ?? task["Parameters"]) as Properties)["FunctionName"]);
      const resource = text(stack.resolve(substitutions[name.slice(2, -1)]));
      yield { by, usesRole: true, action: LAMBDA, resource };
    }
  }
}

/** Calls of EventBridge: events to the targets of rules and to their dead-letter queues, schedules to functions. */
function* rules(stack: Stack): Generator<ServiceCall> {
  for (const [name, { Targets }] of stack.ofType("AWS::Events::Rule")) {
    for (const target of list(Targets) as Properties[]) {
      if (target["RoleArn"] !== undefined) throw new Error(`${name} has a target with a role, which is not known here`);
      const deadLetters = (target["DeadLetterConfig"] as Properties | undefined)?.["Arn"];
      for (const value of [target["Arn"], ...list(deadLetters)]) {
        const resource = text(stack.resolve(value));
        const action = { sqs: "sqs:SendMessage", lambda: LAMBDA }[resource.split(":")[2] ?? ""];
        if (!action) throw new Error(`${name} has a target that is not known here: ${resource}`);
        yield { by: "events.amazonaws.com", usesRole: false, action, resource, source: stack.arnOf(name) };
      }
    }
  }
}

function* methods(stack: Stack): Generator<ServiceCall> {
  for (const [api, { Body }] of stack.ofType("AWS::ApiGateway::RestApi")) {
    for (const [path, item] of Object.entries((Body as Properties)["paths"] as Record<string, Properties>)) {
      for (const [method, operation] of Object.entries(item)) {
        const integration = (operation as Properties)["x-amazon-apigateway-integration"] as Properties | undefined;
        if (integration?.["type"] === "mock") continue;
        const uri = text(stack.resolve(integration?.["uri"]));
        const [, resource] = /\/functions\/(.+)\/invocations$/.exec(uri) ?? [];
        if (!resource) throw new Error(`${method} ${path} has an integration that is not known here`);
        const source = arn("execute-api", `${stack.deployment.resources[api]}/stage/${method.toUpperCase()}${path}`);
        yield { by: "apigateway.amazonaws.com", usesRole: false, action: LAMBDA, resource, source };
      }
    }
  }
}

/** Services that run a function or a state machine under its role. */
function* assumptions(stack: Stack): Generator<ServiceCall> {
  const types = { "AWS::Lambda::Function": "lambda", "AWS::StepFunctions::StateMachine": "states" };
  for (const [type, service] of Object.entries(types)) {
    for (const [name] of stack.ofType(type)) {
      yield {
        by: `${service}.amazonaws.com`,
        usesRole: false,
        action: "sts:AssumeRole",
        resource: roleOf(stack, name).arn,
      };
    }
  }
}

export function serviceCalls(stack: Stack): ServiceCall[] {
  return [pollers, machines, rules, methods, assumptions].flatMap((calls) => [...calls(stack)]);
}

/** The policies of resources by ARN: of queues, functions and roles. */
function resourcePolicies(stack: Stack): Map<string, Value> {
  const statements = new Map<string, Value[]>();
  const add = (resource: string, more: Value[]) =>
    statements.set(resource, [...(statements.get(resource) ?? []), ...more]);
  const inDocument = (document: Value | undefined) => list((resolved(stack, document) as Properties)["Statement"]);
  for (const [, { Queues, PolicyDocument }] of stack.ofType("AWS::SQS::QueuePolicy")) {
    for (const queue of list(Queues)) add(stack.arnOf(text((queue as Properties)["Ref"])), inDocument(PolicyDocument));
  }
  for (const [name, { AssumeRolePolicyDocument }] of stack.ofType("AWS::IAM::Role")) {
    // The statements of a trust policy name no resource: it is the role.
    add(stack.arnOf(name), inDocument(AssumeRolePolicyDocument));
  }
  for (const [, permission] of stack.ofType("AWS::Lambda::Permission")) {
    const { Action, FunctionName, Principal, SourceArn } = permission;
    const resource = text(stack.resolve(FunctionName));
    const source = stack.resolve(SourceArn);
    const condition = source === undefined ? {} : { Condition: { ArnLike: { "AWS:SourceArn": source } } };
    const allow = {
      Effect: "Allow",
      Principal: { Service: text(Principal) },
      Action: text(Action),
      Resource: resource,
    };
    add(resource, [{ ...allow, ...condition } as Value]);
  }
  const policies = [...statements].map(([name, Statement]) => [name, { Version: "2012-10-17", Statement }] as const);
  return new Map<string, Value>(policies);
}

/** Returns the calls that the policies of the stack do not allow. */
export async function refused(stack: Stack, calls: ServiceCall[]): Promise<ServiceCall[]> {
  const policies = resourcePolicies(stack);
  const none = { Version: "2012-10-17", Statement: [] };
  const allowed = await Promise.all(
    calls.map((call) => {
      if (!call.usesRole) return serviceMay(call.by, policies.get(call.resource) ?? none, call, call.source);
      const role = roleOf(stack, call.by);
      return roleMay(role.arn, role.documents, call);
    }),
  );
  return calls.filter((_, index) => !allowed[index]);
}

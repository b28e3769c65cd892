/** Which rights the recorded calls need. */
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { type Call, type Right, document, rightsOf, roleMay, roleOf } from "./policies.ts";
import type { Records } from "./records.ts";
import type { ServiceCall } from "./services.ts";
import type { Stack } from "./template.ts";

/** Exceptions in rights.json, each with its reason. */
export interface Exceptions {
  /** Rights that no call needs. `*` stands for any function or state machine. */
  unused: { right: string; reason: string }[];
  /** Calls that a test makes although no policy allows them. `*` stands for any function. */
  refused: { call: string; reason: string }[];
}

export function exceptions(): Exceptions {
  return JSON.parse(readFileSync(join(import.meta.dirname, "rights.json"), "utf8")) as Exceptions;
}

/** Name of a right or a call: `GetOrderFunction dynamodb:GetItem table/OrdersTable`. */
export function named(owner: string, { action, resource }: Call): string {
  return `${owner} ${action} ${resource.replace(/^arn:aws:[^:]*:[^:]*:000000000000:/, "")}`;
}

/**
 * Rights and AWS's policies that can be taken out of a role without a recorded call being refused, and roles and
 * policies that belong to no function or state machine.
 */
export async function unused(stack: Stack, calls: (Call & { owner: string })[]): Promise<string[]> {
  const found: string[] = [];
  const owners = ["AWS::Lambda::Function", "AWS::StepFunctions::StateMachine"].flatMap((type) => [
    ...stack.ofType(type),
  ]);
  const roles = new Set<string>();
  for (const [owner] of owners) {
    const role = roleOf(stack, owner);
    roles.add(role.name);
    const rights = rightsOf(owner, role);
    const theirs = calls.filter((call) => call.owner === owner);
    for (const right of rights) {
      const rest = rights.filter((other) => other !== right);
      if (!(await refusesAny(role.arn, rest, theirs))) found.push(named(owner, right));
    }
    // The gate does not evaluate AWS's policies, so whatever it allows needs none of them.
    found.push(...role.managed.map((policy) => `${owner} ${policy}`));
  }
  const rest = Object.entries(stack.template.Resources).filter(([name, { Type }]) => {
    return Type.startsWith("AWS::IAM::") && !roles.has(name);
  });
  return [...found, ...rest.map(([name]) => name)];
}

async function refusesAny(principal: string, rights: Right[], calls: Call[]): Promise<boolean> {
  const policy = document(rights);
  const allowed = await Promise.all(calls.map((call) => roleMay(principal, [policy], call)));
  return allowed.includes(false);
}

/** Returns what is wrong with the recorded calls, the rights and the exceptions. */
export async function faults(
  stack: Stack,
  records: Records,
  services: ServiceCall[],
  { unused: mayBeUnused, refused: mayBeRefused }: Exceptions,
): Promise<string[]> {
  const refused = new Set(records.filter((one) => !one.allowed).map((one) => named(one.owner, one)));
  const byRoles = services.filter((call) => call.usesRole).map((call) => ({ ...call, owner: call.by }));
  const left = await unused(stack, [...records.filter((one) => one.allowed), ...byRoles]);
  const covers = (right: string) => (name: string) =>
    name === right || (right.startsWith("* ") && name.endsWith(right.slice(1)));
  return [
    ...[...refused]
      .filter((name) => !mayBeRefused.some(({ call }) => covers(call)(name)))
      .map((name) => `refused: ${name}`),
    ...mayBeRefused
      .filter(({ call }) => ![...refused].some(covers(call)))
      .map(({ call }) => `in rights.json as refused, but was not: ${call}`),
    ...left
      .filter((name) => !mayBeUnused.some(({ right }) => covers(right)(name)))
      .map((name) => `needed by no call: ${name}`),
    ...mayBeUnused
      .filter(({ right }) => !left.some(covers(right)))
      .map(({ right }) => `in rights.json as unused, but a call needs it: ${right}`),
  ];
}

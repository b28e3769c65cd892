/** The policies of roles and resources, and the engine that evaluates them. */
import { runSimulation } from "@cloud-copilot/iam-simulate";

import { ACCOUNT, type Properties, type Stack, type Value, list, text } from "./template.ts";

/** An action on a resource. */
export interface Call {
  action: string;
  resource: string;
}

/** A role: the documents of its own policies, and the names of AWS's policies. */
export interface Role {
  /** Its name in the template. */
  name: string;
  arn: string;
  documents: Value[];
  managed: string[];
}

/** Returns the role of a function or of a state machine, by the name that this has in the template. */
export function roleOf(stack: Stack, name: string): Role {
  const { Role: ofFunction, RoleArn: ofMachine } = stack.template.Resources[name]?.Properties ?? {};
  const [role, attribute] = list((((ofFunction ?? ofMachine) as Properties) ?? {})["Fn::GetAtt"]).map(text);
  const properties = stack.template.Resources[role ?? ""]?.Properties;
  if (!role || !properties || attribute !== "Arn") throw new Error(`${name} has no role of this template`);
  const documents = list(properties["Policies"]).map((policy) => (policy as Properties)["PolicyDocument"]);
  const managed = list(stack.resolve(properties["ManagedPolicyArns"])).map((arn) => text(arn).split("/").at(-1) ?? "");
  return { name: role, arn: stack.arnOf(role), documents: documents.map((one) => resolved(stack, one)), managed };
}

export function resolved(stack: Stack, document: Value | undefined): Value {
  const value = stack.resolve(document);
  if (value === undefined) throw new Error("a policy without a document");
  return value;
}

/** Whether the policies of a role allow a call. A call that the engine can't evaluate is an error. */
export async function roleMay(principal: string, documents: Value[], call: Call): Promise<boolean> {
  return allows(principal, call, {}, { identityPolicies: documents.map((policy, n) => ({ name: String(n), policy })) });
}

/** Whether the policy of a resource allows a call of a service of AWS, which it makes for `source`. */
export async function serviceMay(service: string, document: Value, call: Call, source?: string): Promise<boolean> {
  const context: Record<string, string> =
    source === undefined ? {} : { "aws:SourceArn": source, "aws:SourceAccount": ACCOUNT };
  return allows(service, call, context, { identityPolicies: [], resourcePolicy: document });
}

async function allows(
  principal: string,
  { action, resource }: Call,
  contextVariables: Record<string, string>,
  policies: { identityPolicies: { name: string; policy: Value }[]; resourcePolicy?: Value },
): Promise<boolean> {
  const request = { action, principal, resource: { resource, accountId: ACCOUNT }, contextVariables };
  const none = { serviceControlPolicies: [], resourceControlPolicies: [] };
  const answer = await runSimulation({ request, ...none, ...policies }, {});
  // An error is an invalid policy, an unknown action, or a resource that the action does not have.
  if (answer.resultType === "error") {
    throw new Error(`${action} on ${resource} can't be evaluated: ${JSON.stringify(answer.errors)}`);
  }
  return answer.overallResult === "Allowed";
}

/** One action on one resource that a statement allows. */
export interface Right extends Call {
  /** The function or the state machine. */
  owner: string;
  statement: Properties;
}

/** Returns the rights of a role one by one. It knows plain statements only, so that none is misread. */
export function rightsOf(owner: string, role: Role): Right[] {
  const statements = role.documents.flatMap((document) => list((document as Properties)["Statement"]));
  return statements.flatMap((statement) => {
    const { Action, Resource, ...others } = statement as Properties;
    const { Effect, Sid: _sid, Condition: _condition, ...unknown } = others;
    if (Effect !== "Allow" || Object.keys(unknown).length > 0) {
      throw new Error(`${owner} has a statement of another form: ${JSON.stringify(statement)}`);
    }
    return list(Action).flatMap((action) =>
      list(Resource).map((resource) => {
        const one = { ...others, Action: action, Resource: resource };
        return { owner, action: text(action), resource: text(resource), statement: one };
      }),
    );
  });
}

export function document(rights: Right[]): Value {
  return { Version: "2012-10-17", Statement: rights.map((right) => right.statement) };
}

/** SAM's translation of template.yaml, and the values that its functions have in a stack. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";

export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export type Properties = Record<string, Value>;

export interface Resource {
  Type: string;
  Condition?: string;
  Properties?: Properties;
}

export interface Template {
  Parameters: Record<string, { Default?: Value }>;
  Mappings: Record<string, Record<string, Record<string, Value>>>;
  Conditions: Record<string, Value>;
  Resources: Record<string, Resource>;
}

/** What a deployment adds to the template: the values of its parameters, and the ids of its resources. */
export interface Deployment {
  name: string;
  parameters: Record<string, string>;
  resources: Record<string, string>;
}

export const ROOT = join(import.meta.dirname, "../..");

/** Account and region of the emulator, as local/src/lib.rs has them. */
export const ACCOUNT = "000000000000";
export const REGION = "eu-west-1";

export function arn(service: string, resource: string, region = REGION): string {
  return `arn:aws:${service}:${region}:${ACCOUNT}:${resource}`;
}

/** Translates template.yaml by the pinned translator of SAM. The emulator has one of its own, which proves nothing. */
export async function translate(): Promise<Template> {
  const python = join(ROOT, ".tools/aws/bin/python");
  const options = { maxBuffer: 64 << 20 };
  const { stdout } = await promisify(execFile)(python, [join(ROOT, "tools/translation.py")], options);
  return JSON.parse(stdout) as Template;
}

export function list(value: Value | undefined): Value[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

/** Returns a string, and refuses what is none: a policy must not be read in another way than AWS reads it. */
export function text(value: Value | undefined): string {
  if (typeof value !== "string") throw new Error(`not a string: ${JSON.stringify(value)}`);
  return value;
}

/** A template with the values of one deployment. */
export class Stack {
  readonly template: Template;
  readonly deployment: Deployment;

  constructor(template: Template, deployment: Deployment) {
    this.template = template;
    this.deployment = deployment;
  }

  /** Resources of a type that this deployment has, by their names in the template, with their values. */
  *ofType(type: string): Generator<[string, Properties]> {
    for (const [name, resource] of Object.entries(this.template.Resources)) {
      if (resource.Type !== type || (resource.Condition && !this.holds(resource.Condition))) continue;
      yield [name, resource.Properties ?? {}];
    }
  }

  /** Returns the value without functions of CloudFormation; `undefined` for AWS::NoValue. */
  resolve(value: Value | undefined): Value | undefined {
    if (Array.isArray(value)) return value.map((item) => this.resolve(item)).filter((item) => item !== undefined);
    if (value === null || typeof value !== "object") return value;
    const [[name, argument] = [], ...more] = Object.entries(value);
    if (name !== undefined && more.length === 0 && (name === "Ref" || name.startsWith("Fn::"))) {
      return this.call(name, argument as Value);
    }
    const entries = Object.entries(value).map(([key, item]) => [key, this.resolve(item)] as const);
    return Object.fromEntries(entries.filter((entry): entry is [string, Value] => entry[1] !== undefined));
  }

  private call(name: string, argument: Value): Value | undefined {
    const parts = list(argument);
    switch (name) {
      case "Ref":
        return this.reference(text(argument));
      case "Fn::GetAtt":
        return this.attribute(text(parts[0]), text(parts[1]));
      case "Fn::If":
        return this.resolve(this.holds(text(parts[0])) ? parts[1] : parts[2]);
      case "Fn::Join":
        return list(this.resolve(parts[1])).map(text).join(text(parts[0]));
      case "Fn::FindInMap": {
        const [map, key, field] = parts.map((part) => text(this.resolve(part)));
        return this.template.Mappings[map ?? ""]?.[key ?? ""]?.[field ?? ""];
      }
      case "Fn::Sub": {
        const own = (parts[1] ?? {}) as Properties;
        return text(parts[0]).replace(/\$\{([^!}][^}]*)\}/g, (_, key: string) => {
          if (key in own) return text(this.resolve(own[key]));
          const [resource = "", attribute] = key.split(/\.(.*)/s);
          return text(attribute === undefined ? this.reference(key) : this.attribute(resource, attribute));
        });
      }
      default:
        throw new Error(`${name} is not known here`);
    }
  }

  private holds(condition: string): boolean {
    const evaluate = (value: Value | undefined): boolean => {
      const [name, argument] = Object.entries(value as Properties)[0] ?? [];
      const parts = list(argument);
      switch (name) {
        case "Condition":
          return this.holds(text(argument));
        case "Fn::Equals":
          return String(this.resolve(parts[0])) === String(this.resolve(parts[1]));
        case "Fn::Not":
          return !evaluate(parts[0]);
        case "Fn::And":
          return parts.every(evaluate);
        case "Fn::Or":
          return parts.some(evaluate);
        default:
          throw new Error(`the condition ${name} is not known here`);
      }
    };
    return evaluate(this.template.Conditions[condition]);
  }

  private reference(name: string): Value | undefined {
    const pseudo: Record<string, string | undefined> = {
      "AWS::AccountId": ACCOUNT,
      "AWS::NoValue": undefined,
      "AWS::Partition": "aws",
      "AWS::Region": REGION,
      "AWS::StackName": this.deployment.name,
      "AWS::URLSuffix": "amazonaws.com",
    };
    if (name in pseudo) return pseudo[name];
    const parameter = this.template.Parameters[name];
    return parameter ? (this.deployment.parameters[name] ?? parameter.Default) : this.id(name);
  }

  private id(name: string): string {
    const id = this.deployment.resources[name];
    if (id === undefined) throw new Error(`${this.deployment.name} has no ${name}`);
    return id;
  }

  private attribute(name: string, attribute: string): string {
    if (attribute === "Name") return this.arnOf(name).split(":").at(-1) ?? "";
    if (attribute !== "Arn") throw new Error(`${name}.${attribute} is not known here`);
    return this.arnOf(name);
  }

  /** The ARN of a resource, from the id that CloudFormation gives it. */
  arnOf(name: string): string {
    const id = this.id(name);
    const type = this.template.Resources[name]?.Type ?? "";
    switch (type) {
      case "AWS::DynamoDB::Table":
        return arn("dynamodb", `table/${id}`);
      case "AWS::SQS::Queue":
        return arn("sqs", id.split("/").at(-1) ?? "");
      case "AWS::Lambda::Function":
        return arn("lambda", `function:${id}`);
      case "AWS::Events::Rule":
        return arn("events", `rule/${id}`);
      case "AWS::IAM::Role":
        return arn("iam", `role/${id}`, "");
      case "AWS::SNS::Topic":
      case "AWS::StepFunctions::StateMachine":
      case "AWS::Lambda::Alias":
        return id;
      default:
        throw new Error(`the ARN of a ${type} is not known here`);
    }
  }
}

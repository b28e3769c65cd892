/**
 * The model of a stack: each resource has its name in the template as its name on AWS. Calls are recorded with these
 * names, so the calls of all stacks can be replayed against one set of policies.
 */
import { type Deployment, Stack, type Template, arn, text } from "./template.ts";

/** The parameters with the ARN of a secret. The model has a secret for each, so that no right is left out. */
const SECRETS = ["PaymentKeySecret", "RestaurantKeySecret"];

const secret = (name: string): string => arn("secretsmanager", `secret:${name}`);

export function model(template: Template): Stack {
  const ids: Record<string, (name: string) => string> = {
    "AWS::SNS::Topic": (name) => arn("sns", name),
    "AWS::StepFunctions::StateMachine": (name) => arn("states", `stateMachine:${name}`),
    "AWS::Lambda::Alias": (name) => {
      const { FunctionName, Name } = template.Resources[name]?.Properties ?? {};
      return arn("lambda", `function:${text((FunctionName as { Ref: string }).Ref)}:${text(Name)}`);
    },
  };
  const resources = Object.entries(template.Resources).map(([name, { Type }]) => [name, ids[Type]?.(name) ?? name]);
  const deployment: Deployment = {
    name: "model",
    parameters: Object.fromEntries(SECRETS.map((name) => [name, secret(name)])),
    resources: Object.fromEntries(resources) as Record<string, string>,
  };
  return new Stack(template, deployment);
}

/** Returns a function that translates the ARNs of a stack into those of the model. It leaves all others as they are. */
export function intoModel(stack: Stack): (resource: string) => string {
  const target = model(stack.template);
  const names = new Map<string, string>();
  for (const type of ["DynamoDB::Table", "SQS::Queue", "SNS::Topic", "StepFunctions::StateMachine"]) {
    for (const [name] of stack.ofType(`AWS::${type}`)) names.set(stack.arnOf(name), target.arnOf(name));
  }
  for (const name of SECRETS) {
    const value = stack.deployment.parameters[name];
    if (value) names.set(value, secret(name));
  }
  return (resource) => {
    const known = names.get(resource);
    if (known) return known;
    const [table = "", index] = resource.split("/index/");
    if (index) return `${names.get(table) ?? table}/index/${index}`;
    // One record stands for all executions of a state machine.
    const [machine = ""] = resource.split(/(?<=:execution:[^:]+):/);
    const [, , , , , , named] = names.get(machine.replace(":execution:", ":stateMachine:"))?.split(":") ?? [];
    return named ? arn("states", `execution:${named}:any`) : resource;
  };
}

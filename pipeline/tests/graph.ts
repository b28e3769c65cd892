/** The whole program, run with a provider that only records what it is asked for. */
import * as pulumi from "@pulumi/pulumi";

export const ACCOUNT = "123456789012";
export const REGION = "eu-west-1";
export const EMAIL = "team@example.com";

export interface Resource {
  type: string;
  name: string;
  inputs: Record<string, unknown>;
}

export interface Graph {
  resources: Resource[];
  outputs: Record<string, string>;
  /** Types of the resources that `pulumi destroy` leaves. */
  kept: string[];
}

/** The part of Pulumi's engine that sees options of resources; mocks don't. */
interface Monitor {
  registerResource: (
    request: { getType: () => string; getRetainondelete: () => boolean },
    callback: unknown,
  ) => unknown;
}

class Recorder implements pulumi.runtime.Mocks {
  readonly resources: Resource[] = [];

  newResource({ type, name, inputs }: pulumi.runtime.MockResourceArgs) {
    if (type.startsWith("aws:")) {
      this.resources.push({ type, name, inputs: inputs as Record<string, unknown> });
    }
    // The provider names what has no name.
    const named = { name, bucket: name, ...(inputs as object) };
    return { id: `${name}-id`, state: { ...named, arn: `arn:of:${type}:${name}` } };
  }

  call({ token }: pulumi.runtime.MockCallArgs) {
    switch (token) {
      case "aws:index/getRegion:getRegion":
        return { region: REGION };
      case "aws:index/getCallerIdentity:getCallerIdentity":
        return { accountId: ACCOUNT };
      case "aws:index/getPartition:getPartition":
        return { partition: "aws" };
      default:
        // Each call is a right that the role of `pulumi preview` needs.
        throw new Error(`unexpected call of ${token}`);
    }
  }
}

/** Runs the program with this configuration besides the usual one. */
export async function graph(more: Record<string, string> = {}): Promise<Graph> {
  const recorder = new Recorder();
  await pulumi.runtime.setMocks(recorder, "order-api-pipeline", "test");
  const kept: string[] = [];
  const monitor = pulumi.runtime.getMonitor() as unknown as Monitor;
  const register = monitor.registerResource.bind(monitor);
  monitor.registerResource = (request, callback) => {
    if (request.getRetainondelete()) {
      kept.push(request.getType());
    }
    return register(request, callback);
  };
  pulumi.runtime.setAllConfig({
    "order-api-pipeline:repository": "someone/order-api",
    "order-api-pipeline:branch": "trunk",
    "order-api-pipeline:email": EMAIL,
    ...more,
  });
  const program: object = await import("../index.js");
  await pulumi.runtime.disconnect();
  const outputs: Record<string, string> = {};
  for (const [name, output] of Object.entries(program)) {
    if (pulumi.Output.isInstance<string>(output)) {
      outputs[name] = await new Promise((resolve) => output.apply(resolve));
    }
  }
  return { resources: recorder.resources, outputs, kept };
}

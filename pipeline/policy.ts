import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { NAME, type Place } from "./place";

type Condition = Record<string, Record<string, pulumi.Input<string> | pulumi.Input<string>[]>>;

export interface Statement {
  Sid?: string;
  Effect: "Allow" | "Deny";
  Principal?: "*" | { Service: string } | { Federated: pulumi.Input<string> };
  Action: string[];
  Resource?: pulumi.Input<string>[];
  Condition?: Condition;
}

export function allow(Action: string[], Resource: pulumi.Input<string>[], Condition?: Condition): Statement {
  return { Effect: "Allow", Action, Resource, ...(Condition && { Condition }) };
}

/** Allows actions for which AWS knows no narrower resource. The reason is part of the statement's name. */
export function allowEverywhere(Sid: string, Action: string[], Condition?: Condition): Statement {
  return { Sid, ...allow(Action, ["*"], Condition) };
}

export function policy(statements: Statement[]): pulumi.Output<string> {
  return pulumi.jsonStringify({ Version: "2012-10-17", Statement: statements });
}

/** Boundary of the roles that this program makes. pipeline/github-oidc.yaml makes it, so `pulumi up` can't widen it. */
export function boundary(place: Place): pulumi.Output<string> {
  return place.globalArn("iam", `policy/${NAME}-boundary`);
}

/** Makes a role for a service of AWS. */
export function role(
  name: string,
  place: Place,
  service: string,
  statements: Statement[],
  options: pulumi.CustomResourceOptions,
): aws.iam.Role {
  const trust: Statement = {
    Effect: "Allow",
    Principal: { Service: `${service}.amazonaws.com` },
    Action: ["sts:AssumeRole"],
    // API Gateway assumes its role for the whole account, and documents no such condition.
    ...(service !== "apigateway" && { Condition: { StringEquals: { "aws:SourceAccount": place.account } } }),
  };
  const made = new aws.iam.Role(
    name,
    { assumeRolePolicy: policy([trust]), permissionsBoundary: boundary(place) },
    options,
  );
  if (statements.length > 0) {
    new aws.iam.RolePolicy(name, { role: made.name, policy: policy(statements) }, options);
  }
  return made;
}

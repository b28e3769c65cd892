import * as aws from "@pulumi/aws";
import * as pulumi from "@pulumi/pulumi";

import { releaseRights, stackArn, webRights } from "./environment";
import { NAME, type Place } from "./place";
import { type Statement, allow, allowEverywhere, boundary, policy, role } from "./policy";
import { packages, stackBoundary, stackRights } from "./stack-rights";

const GITHUB = "token.actions.githubusercontent.com";
/** Names of the stacks. Those of dev and prod do not match. */
const STACKS = "order-api-e-*";
/** Tag of the user pools of a stack (template.yaml), and of those that its tests make (local/tests/e2e/auth.rs). */
const STACK_TAG = "order-api-stack";
/** The longest run of one set of credentials. */
const SESSION_SECONDS = 7200;

export interface EphemeralArgs {
  place: Place;
  /** The GitHub repository, as owner/name. */
  repository: string;
  /** The same with GitHub's ids, as owner@1234/name@5678; or empty. */
  immutableRepository: string;
  branch: string;
}

/**
 * The rights of `.github/workflows/ephemeral.yml`: a role for its job on the branch, and one by which CloudFormation
 * changes the stacks that it makes. `pipeline/github-oidc.yaml` makes the provider of GitHub's tokens.
 */
export class Ephemeral extends pulumi.ComponentResource {
  readonly jobRole: pulumi.Output<string>;
  readonly stackRole: pulumi.Output<string>;
  readonly stackBoundary: pulumi.Output<string>;

  constructor(args: EphemeralArgs) {
    super("order-api:pipeline:Ephemeral", "ephemeral");
    const { place } = args;
    const inside = { parent: this };
    const name = `${NAME}-ephemeral-stack`;
    const limit = new aws.iam.Policy(
      name,
      { name, description: `Boundary of the roles of ${STACKS}`, policy: policy(stackBoundary(place, STACKS)) },
      inside,
    );
    const ofStack = role(name, place, "cloudformation", stackRights(place, STACKS, limit.arn), inside);
    const subjects = [args.repository, args.immutableRepository]
      .filter((repository) => repository !== "")
      .map((repository) => `repo:${repository}:ref:refs/heads/${args.branch}`);
    const trust: Statement = {
      Effect: "Allow",
      Principal: { Federated: place.globalArn("iam", `oidc-provider/${GITHUB}`) },
      Action: ["sts:AssumeRoleWithWebIdentity"],
      Condition: { StringEquals: { [`${GITHUB}:aud`]: "sts.amazonaws.com", [`${GITHUB}:sub`]: subjects } },
    };
    const jobName = `${NAME}-ephemeral-job`;
    const ofJob = new aws.iam.Role(
      jobName,
      {
        assumeRolePolicy: policy([trust]),
        permissionsBoundary: boundary(place),
        maxSessionDuration: SESSION_SECONDS,
      },
      inside,
    );
    const rights = [
      ...releaseRights(place, STACKS, ofStack.arn),
      ...webRights(place, STACKS),
      ...deletionRights(place),
      ...verificationRights(place),
    ];
    new aws.iam.RolePolicy(jobName, { role: ofJob.name, policy: policy(rights) }, inside);
    this.jobRole = ofJob.arn;
    this.stackRole = ofStack.arn;
    this.stackBoundary = limit.arn;
    this.registerOutputs();
  }
}

/** Rights of `make undeploy-web` and `sam delete`. CloudFormation deletes by the role that made the stack. */
function deletionRights(place: Place): Statement[] {
  return [
    allow(["cloudformation:DeleteStack", "cloudformation:GetTemplate"], [stackArn(place, STACKS)]),
    allow(
      ["s3:DeleteObject"],
      [place.bucket(`${STACKS}-webbucket-*/*`), pulumi.interpolate`${packages(place)}/${STACKS}/*`],
    ),
  ];
}

/** Rights of `make verify`: those of the tests in local/tests/e2e, and of the deletion of what they have made. */
function verificationRights(place: Place): Statement[] {
  return [
    allow(
      [
        "cognito-idp:AdminAddUserToGroup",
        "cognito-idp:AdminCreateUser",
        "cognito-idp:AdminDeleteUser",
        "cognito-idp:AdminSetUserPassword",
        "cognito-idp:CreateResourceServer",
        "cognito-idp:CreateUserPoolClient",
        "cognito-idp:CreateUserPoolDomain",
        "cognito-idp:DeleteUserPool",
        "cognito-idp:DeleteUserPoolClient",
        "cognito-idp:DeleteUserPoolDomain",
        "cognito-idp:DescribeUserPoolClient",
      ],
      // The id of a user pool is not known before it is made. Those of dev and prod have another tag.
      [place.arn("cognito-idp", "userpool/*")],
      { StringLike: { [`aws:ResourceTag/${STACK_TAG}`]: STACKS } },
    ),
    // Tokens of another user pool must be refused.
    allowEverywhere("UserPoolHasNoArnYet", ["cognito-idp:CreateUserPool"], {
      StringLike: { [`aws:RequestTag/${STACK_TAG}`]: STACKS },
    }),
    allow(["dynamodb:GetItem", "dynamodb:Scan", "dynamodb:UpdateItem"], [place.arn("dynamodb", `table/${STACKS}`)]),
    allow(
      [
        "sqs:CreateQueue",
        "sqs:DeleteMessage",
        "sqs:DeleteQueue",
        "sqs:GetQueueAttributes",
        "sqs:ReceiveMessage",
        "sqs:SetQueueAttributes",
      ],
      [place.arn("sqs", `${STACKS}-verify-*`)],
    ),
    allow(["sns:Subscribe"], [place.arn("sns", STACKS)]),
    allowEverywhere("SubscriptionsAreNoResources", ["sns:Unsubscribe"]),
    allow(["states:DescribeExecution"], [place.arn("states", "execution:OrderStateMachine-*:*")]),
  ];
}

/**
 * Rights of CloudFormation for the stack of one environment, and the boundary of the roles that this stack creates. A test
 * compares the actions with those that the resource types of template.yaml declare.
 */
import * as pulumi from "@pulumi/pulumi";

import type { Place } from "./place";
import { type Statement, allow, allowEverywhere } from "./policy";

/** Policies of AWS that SAM attaches to the roles of functions and of the state machine. */
const MANAGED_POLICIES = ["service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"];

/** Bucket of `sam package --resolve-s3`. */
export function packages(place: Place): pulumi.Output<string> {
  return place.bucket("aws-sam-cli-managed-default-samclisourcebucket-*");
}

export function stackRights(place: Place, stack: string, boundary: pulumi.Output<string>): Statement[] {
  const named = `${stack}-*`;
  const roles = place.globalArn("iam", `role/${named}`);
  const functions = place.arn("lambda", `function:${named}`);
  return [
    allow(
      [
        "lambda:AddPermission",
        "lambda:CreateAlias",
        "lambda:CreateFunction",
        "lambda:DeleteAlias",
        "lambda:DeleteFunction",
        "lambda:DeleteFunctionConcurrency",
        "lambda:GetAlias",
        "lambda:GetFunction",
        "lambda:GetFunctionCodeSigningConfig",
        "lambda:GetFunctionConfiguration",
        "lambda:GetFunctionRecursionConfig",
        "lambda:GetFunctionScalingConfig",
        "lambda:GetPolicy",
        "lambda:GetProvisionedConcurrencyConfig",
        "lambda:GetRuntimeManagementConfig",
        "lambda:ListTags",
        "lambda:ListVersionsByFunction",
        "lambda:PublishVersion",
        "lambda:PutFunctionConcurrency",
        "lambda:RemovePermission",
        "lambda:TagResource",
        "lambda:UntagResource",
        "lambda:UpdateAlias",
        "lambda:UpdateFunctionCode",
        "lambda:UpdateFunctionConfiguration",
      ],
      [functions],
    ),
    allow(
      ["lambda:DeleteEventSourceMapping", "lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping"],
      [place.arn("lambda", "event-source-mapping:*")],
    ),
    // It has no ARN before it is made. The condition names the function instead.
    allowEverywhere("EventSourceMappingHasNoArnYet", ["lambda:CreateEventSourceMapping"], {
      ArnLike: { "lambda:FunctionArn": functions },
    }),
    // A role gets rights only inside the boundary.
    allow(["iam:CreateRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"], [roles], {
      StringEquals: { "iam:PermissionsBoundary": boundary },
    }),
    allow(["iam:AttachRolePolicy", "iam:DetachRolePolicy"], [roles], {
      StringEquals: { "iam:PermissionsBoundary": boundary },
      ArnEquals: { "iam:PolicyARN": MANAGED_POLICIES.map((name) => place.managedPolicy(name)) },
    }),
    allow(
      [
        "iam:DeleteRole",
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListRolePolicies",
        "iam:TagRole",
        "iam:UntagRole",
        "iam:UpdateAssumeRolePolicy",
        "iam:UpdateRole",
        "iam:UpdateRoleDescription",
      ],
      [roles],
    ),
    allow(["iam:PassRole"], [roles], {
      StringEquals: {
        "iam:PassedToService": ["lambda.amazonaws.com", "states.amazonaws.com", "codedeploy.amazonaws.com"],
      },
    }),
    allow(
      [
        "codedeploy:CreateApplication",
        "codedeploy:CreateDeployment",
        "codedeploy:CreateDeploymentGroup",
        "codedeploy:DeleteApplication",
        "codedeploy:DeleteDeploymentGroup",
        "codedeploy:GetApplication",
        "codedeploy:GetApplicationRevision",
        "codedeploy:GetDeployment",
        "codedeploy:GetDeploymentConfig",
        "codedeploy:GetDeploymentGroup",
        "codedeploy:ListDeployments",
        "codedeploy:ListTagsForResource",
        "codedeploy:RegisterApplicationRevision",
        "codedeploy:StopDeployment",
        "codedeploy:TagResource",
        "codedeploy:UntagResource",
        "codedeploy:UpdateDeploymentGroup",
      ],
      [
        place.arn("codedeploy", `application:${named}`),
        place.arn("codedeploy", `deploymentgroup:${named}`),
        place.arn("codedeploy", "deploymentconfig:*"),
      ],
    ),
    allow(
      [
        "dynamodb:CreateTable",
        "dynamodb:DeleteTable",
        "dynamodb:DescribeContinuousBackups",
        "dynamodb:DescribeContributorInsights",
        "dynamodb:DescribeKinesisStreamingDestination",
        "dynamodb:DescribeTable",
        "dynamodb:DescribeTimeToLive",
        "dynamodb:GetResourcePolicy",
        "dynamodb:ListTagsOfResource",
        "dynamodb:TagResource",
        "dynamodb:UntagResource",
        "dynamodb:UpdateContinuousBackups",
        "dynamodb:UpdateTable",
        "dynamodb:UpdateTimeToLive",
      ],
      [place.arn("dynamodb", `table/${named}`)],
    ),
    allow(
      [
        "sqs:CreateQueue",
        "sqs:DeleteQueue",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListQueueTags",
        "sqs:SetQueueAttributes",
        "sqs:TagQueue",
        "sqs:UntagQueue",
      ],
      [place.arn("sqs", named)],
    ),
    allow(
      [
        "sns:CreateTopic",
        "sns:DeleteTopic",
        "sns:GetDataProtectionPolicy",
        "sns:GetTopicAttributes",
        "sns:ListSubscriptionsByTopic",
        "sns:ListTagsForResource",
        "sns:SetTopicAttributes",
        "sns:Subscribe",
        "sns:TagResource",
        "sns:UntagResource",
      ],
      [place.arn("sns", named)],
    ),
    allowEverywhere("SubscriptionsAreNoResources", [
      "sns:GetSubscriptionAttributes",
      "sns:SetSubscriptionAttributes",
      "sns:Unsubscribe",
    ]),
    // CloudFormation names a state machine after its logical id, without the stack.
    allow(
      [
        "states:CreateStateMachine",
        "states:DeleteStateMachine",
        "states:DescribeStateMachine",
        "states:ListTagsForResource",
        "states:TagResource",
        "states:UntagResource",
        "states:UpdateStateMachine",
      ],
      [place.arn("states", "stateMachine:OrderStateMachine-*")],
    ),
    allow(
      [
        "events:DeleteRule",
        "events:DescribeRule",
        "events:ListTagsForResource",
        "events:ListTargetsByRule",
        "events:PutRule",
        "events:PutTargets",
        "events:RemoveTargets",
        "events:TagResource",
        "events:UntagResource",
      ],
      [place.arn("events", `rule/${named}`)],
    ),
    allow(
      [
        "logs:CreateLogGroup",
        "logs:DeleteLogGroup",
        "logs:DeleteMetricFilter",
        "logs:DeleteRetentionPolicy",
        "logs:DescribeIndexPolicies",
        "logs:DescribeLogStreams",
        "logs:DescribeMetricFilters",
        "logs:GetDataProtectionPolicy",
        "logs:ListTagsForResource",
        "logs:PutMetricFilter",
        "logs:PutRetentionPolicy",
        "logs:TagResource",
        "logs:UntagResource",
      ],
      [place.arn("logs", `log-group:/${stack}/*`), place.arn("logs", `log-group:/aws/apigateway/${stack}*`)],
    ),
    allow(["logs:DescribeLogGroups", "logs:DescribeResourcePolicies"], [place.arn("logs", "*")]),
    allowEverywhere("QueryDefinitionsAreNoResources", [
      "logs:DeleteQueryDefinition",
      "logs:DescribeQueryDefinitions",
      "logs:PutQueryDefinition",
    ]),
    // A dashboard has the name of its stack, and belongs to no region.
    allow(
      [
        "cloudwatch:DeleteAlarms",
        "cloudwatch:DeleteDashboards",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:GetDashboard",
        "cloudwatch:ListTagsForResource",
        "cloudwatch:PutDashboard",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:TagResource",
        "cloudwatch:UntagResource",
      ],
      [place.arn("cloudwatch", `alarm:${named}`), place.globalArn("cloudwatch", `dashboard/${stack}`)],
    ),
    // The id of an API is not known before it is made.
    allow(
      [
        "apigateway:DELETE",
        "apigateway:GET",
        "apigateway:PATCH",
        "apigateway:POST",
        "apigateway:PUT",
        "apigateway:UpdateRestApiPolicy",
      ],
      ["/restapis", "/restapis/*", "/tags/*"].map((path) => place.regionalArn("apigateway", "", path)),
    ),
    // Nor is that of a user pool.
    allow(
      [
        "cognito-idp:CreateGroup",
        "cognito-idp:CreateManagedLoginBranding",
        "cognito-idp:CreateResourceServer",
        "cognito-idp:CreateUserPoolClient",
        "cognito-idp:CreateUserPoolDomain",
        "cognito-idp:DeleteGroup",
        "cognito-idp:DeleteManagedLoginBranding",
        "cognito-idp:DeleteResourceServer",
        "cognito-idp:DeleteUserPool",
        "cognito-idp:DeleteUserPoolClient",
        "cognito-idp:DeleteUserPoolDomain",
        "cognito-idp:DescribeManagedLoginBranding",
        "cognito-idp:DescribeManagedLoginBrandingByClient",
        "cognito-idp:DescribeResourceServer",
        "cognito-idp:DescribeUserPool",
        "cognito-idp:DescribeUserPoolClient",
        "cognito-idp:GetGroup",
        "cognito-idp:GetUserPoolMfaConfig",
        "cognito-idp:ListTagsForResource",
        "cognito-idp:ListUserPoolClientSecrets",
        "cognito-idp:SetUserPoolMfaConfig",
        "cognito-idp:TagResource",
        "cognito-idp:UntagResource",
        "cognito-idp:UpdateGroup",
        "cognito-idp:UpdateManagedLoginBranding",
        "cognito-idp:UpdateResourceServer",
        "cognito-idp:UpdateUserPool",
        "cognito-idp:UpdateUserPoolClient",
        "cognito-idp:UpdateUserPoolDomain",
      ],
      [place.arn("cognito-idp", "userpool/*")],
    ),
    allowEverywhere("UserPoolHasNoArnYet", ["cognito-idp:CreateUserPool", "cognito-idp:DescribeUserPoolDomain"]),
    allow(
      [
        "cloudfront:CreateDistribution",
        "cloudfront:CreateDistributionWithTags",
        "cloudfront:CreateFunction",
        "cloudfront:CreateOriginAccessControl",
        "cloudfront:CreateResponseHeadersPolicy",
        "cloudfront:DeleteDistribution",
        "cloudfront:DeleteFunction",
        "cloudfront:DeleteOriginAccessControl",
        "cloudfront:DeleteResponseHeadersPolicy",
        "cloudfront:DescribeFunction",
        "cloudfront:GetDistribution",
        "cloudfront:GetDistributionConfig",
        "cloudfront:GetFunction",
        "cloudfront:GetOriginAccessControl",
        "cloudfront:GetResponseHeadersPolicy",
        "cloudfront:ListTagsForResource",
        "cloudfront:PublishFunction",
        "cloudfront:TagResource",
        "cloudfront:UntagResource",
        "cloudfront:UpdateDistribution",
        "cloudfront:UpdateFunction",
        "cloudfront:UpdateOriginAccessControl",
        "cloudfront:UpdateResponseHeadersPolicy",
      ],
      [
        `function/${named}`,
        // CloudFront gives these their ids.
        ...["distribution/*", "origin-access-control/*", "response-headers-policy/*"],
        // A distribution names the policies of AWS that it uses.
        ...["cache-policy/*", "origin-request-policy/*"],
      ].map((resource) => place.globalArn("cloudfront", resource)),
    ),
    allow(
      [
        "s3:CreateBucket",
        "s3:DeleteBucket",
        "s3:DeleteBucketPolicy",
        "s3:GetAccelerateConfiguration",
        "s3:GetAnalyticsConfiguration",
        "s3:GetBucketAbac",
        "s3:GetBucketAcl",
        "s3:GetBucketCORS",
        "s3:GetBucketLogging",
        "s3:GetBucketMetadataTableConfiguration",
        "s3:GetBucketNotification",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration",
        "s3:GetIntelligentTieringConfiguration",
        "s3:GetInventoryConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetMetricsConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
        "s3:ListTagsForResource",
        "s3:PutBucketOwnershipControls",
        "s3:PutBucketPolicy",
        "s3:PutBucketPublicAccessBlock",
        "s3:PutBucketTagging",
        "s3:PutEncryptionConfiguration",
        "s3:TagResource",
        "s3:UntagResource",
      ],
      [place.bucket(`${stack}-webbucket-*`)],
    ),
    // The functions' zips and the definition of the state machine.
    allow(["s3:GetObject"], [pulumi.interpolate`${packages(place)}/*`]),
  ];
}

/** The most that a role of the stack may do, whatever its own policies say. */
export function stackBoundary(place: Place, stack: string): Statement[] {
  const named = `${stack}-*`;
  return [
    allow(
      [
        "dynamodb:DeleteItem",
        "dynamodb:GetItem",
        "dynamodb:PutItem",
        "dynamodb:Query",
        "dynamodb:Scan",
        "dynamodb:UpdateItem",
      ],
      [place.arn("dynamodb", `table/${named}`)],
    ),
    allow(
      ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage", "sqs:SendMessage"],
      [place.arn("sqs", named)],
    ),
    allow(["sns:Publish"], [place.arn("sns", named)]),
    allow(
      ["states:DescribeExecution", "states:ListExecutions", "states:StartExecution"],
      [place.arn("states", "stateMachine:OrderStateMachine-*"), place.arn("states", "execution:OrderStateMachine-*:*")],
    ),
    // The last three are for CodeDeploy, which moves traffic between versions.
    allow(
      ["lambda:InvokeFunction", "lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"],
      [place.arn("lambda", `function:${named}`)],
    ),
    allow(["cloudwatch:DescribeAlarms"], [place.arn("cloudwatch", "alarm:*")]),
    // Keys of the providers. Each function's own policy names one secret.
    allow(["secretsmanager:GetSecretValue"], [place.arn("secretsmanager", "secret:*")]),
    allow(
      ["logs:CreateLogStream", "logs:PutLogEvents"],
      [place.arn("logs", `log-group:/${stack}/*`), place.arn("logs", `log-group:/${stack}/*:log-stream:*`)],
    ),
    allowEverywhere("TracesAreNoResources", [
      "xray:GetSamplingRules",
      "xray:GetSamplingStatisticSummaries",
      "xray:GetSamplingTargets",
      "xray:PutTelemetryRecords",
      "xray:PutTraceSegments",
    ]),
  ];
}

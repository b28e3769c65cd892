//! The alarms of a stack.
//!
//! Not with the SDK: its client of CloudWatch brings a second HTTP stack, which `deny.toml` refuses. So the one request
//! is made here, with the SDK's own signature.

use std::time::SystemTime;

use anyhow::{Context, ensure};
use aws_config::SdkConfig;
use aws_sdk_sqs::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use serde::Deserialize;
use serde_json::json;

use crate::Stack;

/// Number of alarms that one request may name (`DescribeAlarms`, Amazon CloudWatch API Reference).
const MAX_ALARMS: usize = 100;

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// Its name in the template.
    pub name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub state: String,
    /// The section of the runbook that says what to do.
    pub section: String,
}

/// Returns the alarms of the stack, in the order of their names. Needs `cloudformation:ListStackResources` and
/// `cloudwatch:DescribeAlarms`.
pub async fn alarms(stack: &Stack) -> anyhow::Result<Vec<Alarm>> {
    let sdk = stack.sdk_config().await;
    let cloudformation = aws_sdk_cloudformation::Client::new(&sdk);
    let resources = cloudformation.list_stack_resources().stack_name(&stack.name).into_paginator().items().send();
    let resources = resources.collect::<Result<Vec<_>, _>>().await?.into_iter();
    let resources = resources.filter(|resource| resource.resource_type() == Some("AWS::CloudWatch::Alarm"));
    let mut names: Vec<_> = resources
        .filter_map(|alarm| Some((alarm.logical_resource_id?, alarm.physical_resource_id?)))
        .take(MAX_ALARMS)
        .collect();
    names.sort();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let described = describe(stack, &sdk, names.iter().map(|(_, deployed)| deployed.as_str()).collect()).await?;
    let alarm = |(name, deployed)| {
        let found = described.iter().find(|alarm| alarm.alarm_name == deployed)?;
        // The description ends with the section.
        let section = found.alarm_description.split_whitespace().last().unwrap_or_default().to_owned();
        Some(Alarm { name, state: found.state_value.clone(), section })
    };
    Ok(names.into_iter().filter_map(alarm).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Described {
    metric_alarms: Vec<MetricAlarm>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MetricAlarm {
    alarm_name: String,
    #[serde(default)]
    alarm_description: String,
    state_value: String,
}

/// Calls `DescribeAlarms` in the JSON protocol of CloudWatch.
async fn describe(stack: &Stack, sdk: &SdkConfig, names: Vec<&str>) -> anyhow::Result<Vec<MetricAlarm>> {
    let on_aws = || format!("https://monitoring.{}.amazonaws.com", stack.region);
    let url = stack.endpoint.clone().unwrap_or_else(on_aws);
    let body = json!({"AlarmNames": names, "MaxRecords": MAX_ALARMS}).to_string();
    let headers = [
        ("content-type", "application/x-amz-json-1.0"),
        ("x-amz-target", "GraniteServiceVersion20100801.DescribeAlarms"),
    ];
    let provider = sdk.credentials_provider().context("there are no AWS credentials")?;
    let identity = provider.provide_credentials().await?.into();
    let parameters = SigningParams::builder().identity(&identity).region(&stack.region).name("monitoring");
    let parameters = parameters.time(SystemTime::now()).settings(SigningSettings::default()).build()?.into();
    let request = SignableRequest::new("POST", &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
    let (signature, _) = sign(request, &parameters)?.into_parts();
    let mut request = stack.http().build()?.post(&url);
    for (name, value) in headers.into_iter().chain(signature.headers()) {
        request = request.header(name, value);
    }
    let answer = request.body(body).send().await?;
    let (status, text) = (answer.status(), answer.text().await?);
    ensure!(status.is_success(), "CloudWatch answered {status}: {text}");
    let described: Described = serde_json::from_str(&text).context("the answer of CloudWatch")?;
    Ok(described.metric_alarms)
}

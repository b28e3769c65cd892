//! Calls of single functions, each with an event as AWS sends it.

use std::collections::BTreeMap;

use anyhow::Context;
use aws_sdk_lambda::Client;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::FunctionConfiguration;
use serde_json::Value;

use crate::Stack;

/// Alias by which every function is called.
pub const ALIAS: &str = "live";

/// Answer of a function.
#[derive(Debug)]
pub struct Answer {
    /// The answer, or the error in the form that Lambda gives it.
    pub payload: Value,
    /// True if the function failed.
    pub failed: bool,
}

/// Calls a function, by its name in `functions/`, and waits for its answer.
pub async fn invoke(stack: &Stack, function: &str, event: &Value) -> anyhow::Result<Answer> {
    let functions = functions(stack).await?;
    let deployed = functions.get(function).with_context(|| format!("the stack has no function {function}"))?;
    let name = deployed.function_name().context("a function without a name")?;
    let lambda = Client::new(&stack.sdk_config().await);
    let invoke = lambda.invoke().function_name(name).qualifier(ALIAS);
    let invoked = invoke.payload(Blob::new(serde_json::to_vec(event)?)).send().await?;
    let payload = invoked.payload().context("a response without a payload")?;
    let payload = serde_json::from_slice(payload.as_ref()).context("the function's answer")?;
    Ok(Answer { payload, failed: invoked.function_error().is_some() })
}

/// Returns the stack's functions by their names in `functions/`.
pub async fn functions(stack: &Stack) -> anyhow::Result<BTreeMap<String, FunctionConfiguration>> {
    let lambda = Client::new(&stack.sdk_config().await);
    let all = lambda.list_functions().into_paginator().items().send().collect::<Result<Vec<_>, _>>().await?;
    let prefix = format!("{}-", stack.name);
    let functions = all.into_iter().filter_map(|function| {
        let (name, _) = function.function_name()?.strip_prefix(&prefix)?.split_once("Function-")?;
        // The name of another stack may begin with this one's and a dash.
        let name = (!name.contains('-')).then(|| kebab_case(name))?;
        Some((name, function))
    });
    Ok(functions.collect())
}

fn kebab_case(pascal_case: &str) -> String {
    let mut name = String::new();
    for letter in pascal_case.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

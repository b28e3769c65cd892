//! Variables of deployed functions.

use anyhow::{Context, Result};
use aws_sdk_lambda::Client;
use aws_sdk_lambda::types::{Environment, FunctionConfiguration};
use futures_util::future::try_join_all;

use crate::invoke::{ALIAS, functions};
use crate::{Stack, gate};

/// Variables with the endpoints of the services that functions call.
const ENDPOINTS: [&str; 5] = [
    "AWS_ENDPOINT_URL_DYNAMODB",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SFN",
    "AWS_ENDPOINT_URL_SNS",
    "AWS_ENDPOINT_URL_SQS",
];

/// Makes the functions of a stack call AWS through the server at `url`: each at `{url}/{name in functions/}`.
pub async fn route(stack: &Stack, url: &str) -> Result<()> {
    let lambda = Client::new(&stack.sdk_config().await);
    let routed = functions(stack).await?.into_iter().map(|(name, function)| {
        let endpoints = ENDPOINTS.map(|variable| (variable, Some(format!("{url}/{name}"))));
        change(&lambda, function, endpoints.to_vec())
    });
    try_join_all(routed).await?;
    Ok(())
}

/// Sets a variable of these functions, by their names in `functions/`, or removes it. Without an endpoint of their own,
/// functions call AWS through the gate, if there is one.
pub async fn set_variable(stack: &Stack, names: &[&str], variable: &str, value: Option<&str>) -> Result<()> {
    let lambda = Client::new(&stack.sdk_config().await);
    let mut functions = functions(stack).await?;
    for name in names {
        let function = functions.remove(*name).with_context(|| format!("no function {name}"))?;
        let gate = gate::url_of(stack).filter(|_| ENDPOINTS.contains(&variable)).map(|url| format!("{url}/{name}"));
        change(&lambda, function, vec![(variable, value.map(str::to_owned).or(gate))]).await?;
    }
    Ok(())
}

/// Changes variables of a function, and moves its alias to a version with them.
async fn change(lambda: &Client, function: FunctionConfiguration, with: Vec<(&str, Option<String>)>) -> Result<()> {
    let name = function.function_name.context("a function without a name")?;
    let mut variables = function.environment.and_then(|environment| environment.variables).unwrap_or_default();
    for (variable, value) in with {
        match value {
            Some(value) => variables.insert(variable.to_owned(), value),
            None => variables.remove(variable),
        };
    }
    let environment = Environment::builder().set_variables(Some(variables)).build();
    lambda.update_function_configuration().function_name(&name).environment(environment).send().await?;
    let version = lambda.publish_version().function_name(&name).send().await?.version;
    lambda.update_alias().function_name(name).name(ALIAS).set_function_version(version).send().await?;
    Ok(())
}

//! The functions' variables: each function uses every variable that the template gives it, and starts with no others.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use local::invoke::functions;
use local::{REGION, Stack, staging};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

use crate::events::FUNCTIONS;
use crate::support::{remember, secret};

/// Time that a function has to start.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A value that no variable with a format accepts.
const BAD_VALUE: &str = "not one of these";

/// Unpacks the build of a function, and returns its bootstrap.
async fn unpack(function: &str, folder: &Path) -> PathBuf {
    let zip = staging().unwrap().join("target/lambda").join(function).join("bootstrap.zip");
    let unzip = Command::new("python3").args(["-m", "zipfile", "-e"]).arg(zip).arg(folder).output().await.unwrap();
    assert!(unzip.status.success(), "{unzip:?}");
    let bootstrap = folder.join("bootstrap");
    // Python's zipfile does not restore permissions.
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).unwrap();
    bootstrap
}

/// Starts a function with these variables and those that Lambda itself sets. Succeeds once the function asks the runtime
/// API for its first event; fails with the function's output if the function ends unsuccessfully before that.
async fn start(bootstrap: &Path, variables: &HashMap<String, String>) -> Result<(), String> {
    let runtime_api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let function = Command::new(bootstrap)
        .env_clear()
        // Nothing listens there, so the connections that a function opens while it starts fail at once.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .envs(variables)
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr().unwrap().to_string().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "id"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_SESSION_TOKEN", "token"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let first_request = async {
        let (connection, _) = runtime_api.accept().await.unwrap();
        BufReader::new(connection).lines().next_line().await.unwrap().unwrap()
    };
    let started = async {
        tokio::select! {
            request = first_request => {
                assert_eq!(request, "GET /2018-06-01/runtime/invocation/next HTTP/1.1");
                Ok(())
            }
            ended = function.wait_with_output() => {
                let ended = ended.unwrap();
                let output = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
                assert!(!ended.status.success(), "the function ended without an error: {output}");
                Err(output)
            }
        }
    };
    timeout(START_TIMEOUT, started).await.expect("the function neither starts nor ends")
}

/// Asserts that the function fails to start without the variable, or at least with a bad value of it, and that it prints
/// one line with the variable's name.
async fn assert_uses(function: &str, bootstrap: &Path, variables: &HashMap<String, String>, variable: &str) {
    let mut changed = variables.clone();
    changed.remove(variable);
    let mut result = start(bootstrap, &changed).await;
    if result.is_ok() {
        changed.insert(variable.to_owned(), BAD_VALUE.to_owned());
        result = start(bootstrap, &changed).await;
    }
    let Err(output) = result else { panic!("{function} does not use {variable}") };
    let error = format!("{variable} must be ");
    let lines: Vec<_> = output.lines().filter(|line| line.contains(&error)).collect();
    assert_eq!(lines.len(), 1, "{function} without a good {variable} prints: {output}");
}

#[tokio::test]
async fn a_function_whose_key_cannot_be_read_ends_with_one_line() {
    let stack = Stack::from_environment().unwrap();
    let function = functions(&stack).await.unwrap().remove("process-payment").unwrap();
    let mut variables = function.environment.unwrap().variables.unwrap();
    // Past the gate: the role of the deployed function has no right for these secrets.
    for endpoint in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SECRETS_MANAGER"] {
        variables.insert(endpoint.to_owned(), stack.emulator().unwrap().to_owned());
    }
    variables.insert("PAYMENT_URL".to_owned(), "http://localhost".to_owned());
    let folder = stack.scratch().unwrap().join("environment").join("key");
    let bootstrap = unpack("process-payment", &folder).await;
    let arn = secret(remember("key-that-can-be-read")).await;
    let missing = arn.replace("order-api/", "order-api/missing-");
    let no_key = secret(remember(r#"{"key":"in-json"}"#)).await;
    for (arn, problem) in [
        (&arn, None),
        (&missing, Some("must be the ARN of a secret that can be read: the service refused the request: ")),
        (&no_key, Some("must be the ARN of a secret that holds the key alone: letters, digits and -._~+/=")),
    ] {
        variables.insert("PAYMENT_KEY_SECRET".to_owned(), arn.clone());
        match (start(&bootstrap, &variables).await, problem) {
            (Ok(()), None) => {}
            (Err(output), Some(problem)) => {
                let lines: Vec<_> = output.lines().filter(|line| line.contains("PAYMENT_KEY_SECRET")).collect();
                assert_eq!(lines.len(), 1, "{output}");
                assert!(lines[0].contains(&format!("PAYMENT_KEY_SECRET {problem}")), "{output}");
                assert!(!output.contains("in-json"), "{output}");
            }
            other => panic!("{arn}: {other:?}"),
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_start_of_a_release_is_logged() {
    let stack = Stack::from_environment().unwrap();
    let function = functions(&stack).await.unwrap().remove("get-order").unwrap();
    let mut variables = function.environment.unwrap().variables.unwrap();
    // So the function ends, and its output is read.
    variables.remove("ORDERS_TABLE");
    let folder = stack.scratch().unwrap().join("environment").join("release");
    let bootstrap = unpack("get-order", &folder).await;
    for (release, level, is_logged) in
        [("r0123456789", "info", true), ("r0123456789", "error", false), ("", "info", false)]
    {
        variables.insert("RELEASE".to_owned(), release.to_owned());
        variables.insert("LOG_LEVEL".to_owned(), level.to_owned());
        let output = start(&bootstrap, &variables).await.unwrap_err();
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let lines: Vec<_> = lines.filter(|line| line["message"] == "started").collect();
        assert_eq!(lines.len(), usize::from(is_logged), "{release}, {level}: {output}");
        for line in lines {
            assert_eq!([&line["level"], &line["release"], &line["function_name"]], ["INFO", release, "function"]);
        }
    }
    fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn each_function_uses_all_of_its_variables_and_needs_no_others() {
    let stack = Stack::from_environment().unwrap();
    let mut functions = functions(&stack).await.unwrap();
    for name in FUNCTIONS {
        let function = functions.remove(name).unwrap_or_else(|| panic!("no function {name}"));
        let mut variables = function.environment.unwrap().variables.unwrap();
        // They lead to the gate, and are not the template's.
        variables.retain(|variable, _| !variable.starts_with("AWS_ENDPOINT_URL_"));
        assert!(variables.contains_key("LOG_LEVEL"), "{name}: {variables:?}");
        let folder = stack.scratch().unwrap().join("environment").join(name);
        let bootstrap = unpack(name, &folder).await;
        if let Err(output) = start(&bootstrap, &variables).await {
            panic!("{name} does not start with {variables:?}: {output}");
        }
        for variable in variables.keys() {
            assert_uses(name, &bootstrap, &variables, variable).await;
        }
        fs::remove_dir_all(folder).unwrap();
    }
}

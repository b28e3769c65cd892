//! The smoke test of a deployed stack, `tools/smoke.py`, on the local stack.

use std::process::Output;

use local::{Server, Stack};
use tokio::process::Command;

use crate::dev::free_port;
use crate::support::on_the_emulator;

/// Runs the smoke test with the emulator's addresses and these options.
async fn smoke(stack: &Stack, web_url: &str, options: &[&str]) -> Output {
    let mut python = Command::new(".tools/aws/bin/python");
    python
        .args(["tools/smoke.py", "--config-env", "local", "--web-url", web_url])
        .args(["--api-url", &stack.api_url, "--sign-in-url", &stack.sign_in_url])
        .args(options)
        .current_dir("..");
    on_the_emulator(&mut python, stack).output().await.unwrap()
}

#[tokio::test]
async fn the_smoke_test_passes_and_notices_a_stack_without_a_release() {
    let stack = Stack::from_environment().unwrap();
    let port = free_port();
    let _web = Server::web(&stack, port).await.unwrap();
    let web_url = format!("http://127.0.0.1:{port}");

    let ran = smoke(&stack, &web_url, &["--without-releases"]).await;
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}");
    let steps = ["web UI: ", "create: ", "read: ", "change: ", "list: ", "delete: ", "end of the submitted order: "];
    for step in steps {
        assert!(shown.lines().any(|line| line.starts_with(step)), "{step} in {shown}");
    }

    // The local stack is deployed without stamping the template.
    let ran = smoke(&stack, &web_url, &[]).await;
    let error = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert!(error.contains("was not released by make deploy or the pipeline"), "{error}");
}

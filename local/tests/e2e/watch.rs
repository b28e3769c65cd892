//! `make watch`: the API from the sources, by `cargo lambda watch`.

use std::process::Stdio;
use std::time::Duration;

use local::http;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use tokio::process::Command;

use crate::dev::{Running, behind_a_proxy, free_port, in_a_terminal, processes_with, program};
use crate::events::{FUNCTIONS, assert_response};
use crate::support::{Api, encode, eventually, path_of, send};

#[tokio::test]
async fn watch_serves_every_route_on_one_port_and_accepts_the_sample_events() {
    let port = free_port();
    let mut command = in_a_terminal(&program());
    command.args(["watch", "--port", &port.to_string()]).stdout(Stdio::piped());
    let mut watch = Running::spawn(command);
    let mut lines = watch.lines();
    while !lines.next_line().await.unwrap().expect("the output ended").contains("cargo-lambda lambda invoke") {}
    let printed = tokio::spawn(async move {
        let mut printed = String::new();
        while let Ok(Some(line)) = lines.next_line().await {
            printed += &line;
        }
        printed
    });

    // The first request to a function compiles it.
    let http = http().timeout(Duration::from_mins(10)).build().unwrap();
    let api = Api::of_development(format!("http://localhost:{port}"), http);
    while api.request(Method::GET, "/orders").send().await.is_err() {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }

    assert_eq!(api.get("/orders?limit=1").await.is(200).json().as_array().unwrap().len(), 1);
    let order = api.order("Zoë 寿司").await;
    assert_eq!(api.get(&path_of(&order)).await.is(200).json(), order);
    assert_eq!(api.get(&format!("/orders?user_id={}", encode("Zoë 寿司"))).await.is(200).json(), json!([order]));
    api.put_if(&path_of(&order), &json!({"quantity": 7, "restaurant_id": "R"}), r#""1""#).await.is(200);
    assert_eq!(api.put("/orders", &json!({"quantity": 0})).await.problem(400).len(), 3);
    api.delete(&path_of(&order)).await.is(204);
    api.get(&path_of(&order)).await.problem(404);

    // A submitted order is processed by the stack.
    let submitted = send(api.request(Method::POST, "/orders").json(&order)).await.is(202).json();
    let is_final = || async {
        let answer = api.get(&path_of(&submitted)).await;
        (answer.status == 200 && answer.json()["order_status"] != "PENDING").then_some(())
    };
    eventually("the submitted order is final", is_final).await;

    for function in FUNCTIONS {
        let mut invoke = Command::new("../.tools/aws/bin/cargo-lambda");
        behind_a_proxy(&mut invoke);
        let invoked = invoke
            .args(["lambda", "invoke", function, "--invoke-address", "127.0.0.1", "--invoke-port", &port.to_string()])
            .args(["--data-file", &format!("../events/{function}.json")])
            .output()
            .await
            .unwrap();
        let response = serde_json::from_slice(&invoked.stdout).unwrap_or_else(|_| panic!("{function}: {invoked:?}"));
        assert_response(function, &response);
    }
    let marks = [format!("watch-{port}.env"), format!(":{port}/")];
    assert!(marks.iter().all(|text| !processes_with(text).is_empty()), "cargo-lambda and functions are running");
    assert_eq!(watch.listens_beyond_loopback(), [""; 0]);
    watch.stop(Signal::SIGINT).await;
    assert_eq!(marks.map(|text| processes_with(&text)), [[""; 0]; 2]);
    let warned = printed.await.unwrap().matches("a request without a token is treated as an administrator").count();
    assert!(warned >= 6, "each function of the API warns when it starts: {warned}");
}

//! `make dev` with the tools and the builds in place.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use local::{Stack, http, staging};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::support::{claims, eventually};

/// The command `local` of this checkout. Its path is asked for at run time: a checkout may be moved or copied.
pub fn program() -> String {
    std::env::var("CARGO_BIN_EXE_local").unwrap()
}

fn dev(port: u16, web_port: u16) -> Command {
    let mut command = Command::new(program());
    command.args(["dev", "--port", &port.to_string(), "--web-port", &web_port.to_string()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn free_port() -> u16 {
    local::free_port(None).unwrap()
}

/// Returns the next line that contains this text.
async fn line_with(lines: &mut Lines<BufReader<ChildStdout>>, text: &str) -> String {
    let find = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("the output ended without {text}"));
            if line.contains(text) {
                return line.trim().to_owned();
            }
        }
    };
    timeout(Duration::from_mins(1), find).await.unwrap_or_else(|_| panic!("no {text} within a minute"))
}

/// A command as in a user's terminal: without the variables of the `cargo test` that runs this test. With them, a cargo
/// that the command runs would compile dependencies again, and so would the next one outside of the test.
pub fn in_a_terminal(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars() {
        if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}

/// Makes a proxy that does not answer the user's HTTP proxy.
fn with_dead_proxy(command: &mut Command) {
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        command.env(name, "http://127.0.0.1:1");
    }
    command.env_remove("NO_PROXY").env_remove("no_proxy");
}

/// Makes that proxy the user's, who has done what `README.md` says about proxies.
pub fn behind_a_proxy(command: &mut Command) {
    let readme = std::fs::read_to_string("../README.md").unwrap();
    let (_, hosts) = readme.split_once("`export no_proxy=").unwrap();
    with_dead_proxy(command);
    command.env("no_proxy", hosts.split('`').next().unwrap());
}

/// Runs a printed line in a shell and returns its JSON output.
async fn paste(line: &str) -> Value {
    let mut shell = in_a_terminal("sh");
    behind_a_proxy(&mut shell);
    let ran = shell.args(["-c", line]).current_dir("..").output().await.unwrap();
    serde_json::from_slice(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {line}: {ran:?}"))
}

/// Returns what a verb of the Makefile prints about the system on this port.
async fn make(port: u16, verb: &str, variables: &[(&str, &str)]) -> String {
    let mut make = in_a_terminal("make");
    with_dead_proxy(&mut make);
    make.current_dir("..").args(["--silent", verb, &format!("PORT={port}")]);
    let ran = make.args(variables.iter().map(|(name, value)| format!("{name}={value}"))).output().await.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().to_owned()
}

/// Pastes every `sh` block of a document into one shell, in the checkout, and returns its output.
async fn paste_blocks(document: &str, port: u16) -> String {
    let blocks: Vec<_> = document.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    let mut bash = in_a_terminal("bash");
    behind_a_proxy(&mut bash);
    bash.args(["-euc", &blocks.concat()]).current_dir("..").env("PORT", port.to_string());
    let ran = bash.output().await.unwrap();
    assert!(ran.status.success(), "{ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// Statuses of the answers that `curl -i` printed.
fn statuses(shown: &str) -> Vec<&str> {
    shown.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect()
}

/// Returns the section of `README.md` with the calls of a running system.
fn first_calls() -> String {
    let readme = std::fs::read_to_string("../README.md").unwrap();
    let (_, section) = readme.split_once("\n## First calls\n").unwrap();
    section.split_once("\n## ").unwrap().0.to_owned()
}

/// The running command `local`. It is ended by SIGTERM even if the test fails: killed, it would leave processes behind.
pub struct Running(Child);

impl Running {
    pub fn spawn(mut command: Command) -> Self {
        Self(command.spawn().unwrap())
    }

    /// Lines of its standard output.
    pub fn lines(&mut self) -> Lines<BufReader<ChildStdout>> {
        BufReader::new(self.0.stdout.take().unwrap()).lines()
    }

    /// Sends this signal and asserts that the command ends successfully.
    pub async fn stop(mut self, signal: Signal) {
        self.signal(signal);
        let status = timeout(Duration::from_secs(30), self.0.wait()).await.expect("the command does not stop").unwrap();
        assert!(status.success(), "{status}");
    }

    /// Addresses beyond loopback on which the command or a process that it has started listens, as `/proc` writes them.
    pub fn listens_beyond_loopback(&self) -> Vec<String> {
        let sockets = sockets_of_tree(self.0.id().unwrap());
        let listening: Vec<_> = listening().into_iter().filter(|(_, inode)| sockets.contains(inode)).collect();
        assert!(listening.len() > 1, "the emulator and the loops of its functions listen: {listening:?}");
        let addresses = listening.into_iter().map(|(address, _)| address);
        addresses.filter(|address| !LOOPBACK.iter().any(|loopback| address.starts_with(loopback))).collect()
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.0.id() {
            kill(Pid::from_raw(id.cast_signed()), signal).unwrap();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        while matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// `127.0.0.1`, `::1` and `::ffff:127.0.0.1`, as `/proc/net/tcp` and `/proc/net/tcp6` write them.
const LOOPBACK: [&str; 3] = ["0100007F:", "00000000000000000000000001000000:", "0000000000000000FFFF00000100007F:"];

/// Returns the address and the inode of each socket of this machine that listens.
fn listening() -> Vec<(String, String)> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
    let sockets = tables.iter().flat_map(|table| table.lines()).filter_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        (fields[3] == "0A").then(|| (fields[1].to_owned(), fields[9].to_owned()))
    });
    sockets.collect()
}

/// Returns the inodes of the sockets of a process and its descendants.
fn sockets_of_tree(process: u32) -> Vec<String> {
    let mut tree = vec![process.to_string()];
    let mut next = 0;
    while next < tree.len() {
        for entry in std::fs::read_dir("/proc").unwrap() {
            // The parent is the second field after the name, which stands in parentheses.
            let stat = std::fs::read_to_string(entry.as_ref().unwrap().path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1);
            if parent == Some(&tree[next]) {
                tree.push(entry.unwrap().file_name().into_string().unwrap());
            }
        }
        next += 1;
    }
    let files = tree.iter().filter_map(|process| std::fs::read_dir(format!("/proc/{process}/fd")).ok()).flatten();
    let targets =
        files.filter_map(|file| std::fs::read_link(file.ok()?.path()).ok()?.into_os_string().into_string().ok());
    targets.filter_map(|target| Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())).collect()
}

/// Returns the processes that have this text in their command line or environment.
pub fn processes_with(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let folder = entry.ok()?.path();
        let command = std::fs::read(folder.join("cmdline")).ok()?;
        let all = [command.clone(), std::fs::read(folder.join("environ")).ok()?].concat();
        String::from_utf8_lossy(&all).contains(text).then(|| String::from_utf8_lossy(&command).into_owned())
    });
    processes.collect()
}

#[tokio::test]
async fn dev_serves_the_api_prints_working_commands_shows_logs_and_stops_cleanly() {
    let (port, web_port) = (free_port(), free_port());
    let mut command = dev(port, web_port);
    with_dead_proxy(&mut command);
    let mut running = Running::spawn(command);
    let mut lines = running.lines();

    let web_ui = line_with(&mut lines, "Web UI").await.replace("Web UI", "").trim().to_owned();
    let ann = line_with(&mut lines, "ann@example.com").await;
    let admin = line_with(&mut lines, "admin@example.com").await;
    let list = line_with(&mut lines, "curl").await;
    let create = line_with(&mut lines, "curl").await;
    assert_eq!(paste(&list).await.as_array().unwrap().len(), 3, "there are sample orders");
    assert_eq!(paste(&create).await["order_status"], "PENDING");
    // The logs show an order from submission to completion.
    for function in ["submit-order", "start-order", "save-order", "accept-order", "process-payment", "complete-order"] {
        line_with(&mut lines, &format!(" {function:15} ")).await;
    }

    for (printed, groups) in [(ann, json!(null)), (admin, json!(["admins"]))] {
        let (email, password) = printed.split_once(' ').unwrap();
        let token = make(port, "token", &[("PERSON", email), ("PASSWORD", password.trim())]).await;
        assert_eq!(claims(&token)["cognito:groups"], groups, "{email}");
    }
    assert_eq!(claims(&make(port, "token", &[("SCOPE", "orders/read")]).await)["scope"], "orders/read");

    let screen = make(port, "status", &[]).await;
    assert!(screen.contains(&format!("Web UI    http://localhost:{web_port}\n")), "{screen}");

    let shown = paste_blocks(&first_calls(), port).await;
    assert_eq!(statuses(&shown), ["201", "200", "200", "200", "200", "204", "202"], "{shown}");
    let end = shown.lines().last().unwrap();
    assert!(end.contains(r#""order_status":"SUCCESS""#) || end.contains(r#""order_status":"FAILURE""#), "{shown}");

    let shown = paste_blocks(&std::fs::read_to_string("../docs/api.md").unwrap(), port).await;
    let expected = ["201", "200", "200", "200", "200", "412", "304", "204", "201", "201", "422", "202", "400"];
    assert_eq!(statuses(&shown), expected, "{shown}");
    assert!(shown.contains(r#"rel="next""#), "the second list is the page after the first: {shown}");

    // The web UI has the API and the sign-in on its own origin.
    let fetch = async |path: &str| http().build().unwrap().get(format!("{web_ui}{path}")).send().await.unwrap();
    assert!(fetch("/orders").await.text().await.unwrap().contains("/src/main.tsx"));
    assert_eq!(fetch("/api/orders").await.status(), 401);
    let config: Value = fetch("/config.json").await.json().await.unwrap();
    assert_eq!(config["signInUrl"], web_ui);
    let client = config["clientId"].as_str().unwrap();
    let sign_in = format!("/oauth2/authorize?response_type=code&client_id={client}&redirect_uri={web_ui}/");
    assert_eq!(fetch(&sign_in).await.status(), 200);

    assert_eq!(running.listens_beyond_loopback(), [""; 0]);
    let emulator = format!("AWS_ENDPOINT_URL=http://localhost:{port}\0");
    assert!(processes_with(&emulator).len() > 1, "the emulator and functions are running");
    running.stop(Signal::SIGINT).await;
    assert_eq!(processes_with(&emulator), [""; 0]);
    for port in [port, web_port] {
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    }
}

#[tokio::test]
async fn dev_stops_cleanly_while_it_starts() {
    let port = free_port();
    let running = Running::spawn(dev(port, free_port()));
    tokio::time::sleep(Duration::from_secs(2)).await;
    running.stop(Signal::SIGTERM).await;
    assert_eq!(processes_with(&format!("AWS_ENDPOINT_URL=http://localhost:{port}\0")), [""; 0]);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}

#[tokio::test]
async fn everything_ends_when_dev_is_killed() {
    let port = free_port();
    let mut killed = dev(port, free_port()).kill_on_drop(true).spawn().unwrap();
    eventually("the emulator listens", async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).await;
    killed.kill().await.unwrap();
    let emulator = format!("AWS_ENDPOINT_URL=http://localhost:{port}\0");
    eventually("no process is left", async || processes_with(&emulator).is_empty().then_some(())).await;
    // Otherwise the next emulator on this port removes it.
    std::fs::remove_dir_all(staging().unwrap().join(format!("emulator-{port}"))).unwrap();
}

#[tokio::test]
async fn dev_ends_when_the_process_that_started_it_is_killed() {
    let (port, web_port) = (free_port(), free_port());
    let mut make = Command::new("sh");
    // The last command keeps the shell from replacing itself by the first one.
    let line = format!("'{}' dev --port {port} --web-port {web_port}; true", program());
    make.args(["-c", &line]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut make = make.kill_on_drop(true).spawn().unwrap();
    eventually("the emulator listens", async || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()).await;
    make.kill().await.unwrap();
    let dev = format!("dev\0--port\0{port}\0");
    let emulator = format!("AWS_ENDPOINT_URL=http://localhost:{port}\0");
    let is_over = async || (processes_with(&dev).is_empty() && processes_with(&emulator).is_empty()).then_some(());
    eventually("no process is left", is_over).await;
}

#[tokio::test]
async fn the_command_works_on_the_checkout_in_which_it_runs() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let stack = Stack::from_environment().unwrap();
    let checkout = stack.scratch().unwrap().join("a copy");
    let elsewhere = Path::new("/");
    let url_in = async |folder: &Path| {
        let mut url = Command::new(program());
        url.args(["url", "--port", &port.to_string()]).current_dir(folder).output().await.unwrap()
    };

    std::fs::create_dir_all(checkout.join("target/local")).unwrap();
    for file in ["Makefile", "template.yaml"] {
        std::fs::write(checkout.join(file), "").unwrap();
    }
    let copied = Stack { api_url: "http://localhost/copy".to_owned(), ..stack };
    let file = checkout.join(format!("target/local/stack-{port}.json"));
    std::fs::write(file, serde_json::to_vec(&copied).unwrap()).unwrap();
    for folder in [checkout.clone(), checkout.join("target/local")] {
        assert_eq!(url_in(&folder).await.stdout, b"http://localhost/copy\n");
    }

    let error = String::from_utf8(url_in(elsewhere).await.stderr).unwrap();
    assert!(error.contains("is not in a checkout of Order API"), "{error}");
}

#[tokio::test]
async fn a_port_in_use_is_reported_in_one_line() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    for command in [&mut dev(port, free_port()), &mut dev(free_port(), port)] {
        let ran = command.output().await.unwrap();
        assert!(!ran.status.success());
        let error = String::from_utf8(ran.stderr).unwrap();
        assert!(error.starts_with(&format!("error: can't use port {port}: Address already in use")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_command_runs_with_an_empty_emulator_and_without_the_users_account() {
    let mut command = Command::new(program());
    let script = r#"curl -sf "$AWS_ENDPOINT_URL/_ministack/health" >&2 && echo "profile=$AWS_PROFILE" && exit 3"#;
    command.args(["run", "--empty", "--", "sh", "-c", script]).env("AWS_PROFILE", "theirs");
    let ran = command.output().await.unwrap();
    // Its status is only told as success or failure.
    assert_eq!(ran.status.code(), Some(1), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "profile=\n", "{ran:?}");
}

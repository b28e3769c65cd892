//! Processes of functions, as Linux shows them. On other systems no process is found, and only the connection is cut.

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Kills the process that holds the connection from this port, if it is one of the stack's functions.
pub fn kill_caller(stack: &str, port: u16) -> bool {
    let Some(socket) = socket_of(port) else { return false };
    let mut functions = functions_of(stack).into_iter();
    let Some(caller) = functions.find(|pid| holds(*pid, &socket)) else { return false };
    kill(caller, Signal::SIGKILL).is_ok()
}

/// Processes of the stack's functions.
fn functions_of(stack: &str) -> Vec<Pid> {
    let name = format!("AWS_LAMBDA_FUNCTION_NAME={stack}-");
    let Ok(processes) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    pids.filter(|pid| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(name.as_bytes()))
    })
    .collect()
}

/// The name by which Linux shows the socket at this local port among the files of its process.
fn socket_of(port: u16) -> Option<String> {
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let at_port = format!(":{port:04X}");
    let line = table.lines().find(|line| line.split_whitespace().nth(1).is_some_and(|at| at.ends_with(&at_port)))?;
    Some(format!("socket:[{}]", line.split_whitespace().nth(9)?))
}

fn holds(pid: Pid, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(socket)))
}

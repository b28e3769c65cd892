//! Folders, environment variables and HTTP clients for work with the emulator.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::REGION;

/// Returns the root of the checkout: the nearest folder, from the current one upwards, with a Makefile and the template.
/// It is looked up at run time, because a checkout is moved or copied together with its builds.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_dir().context("the current folder")?;
    let is_root = |folder: &&Path| ["Makefile", "template.yaml"].iter().all(|file| folder.join(file).is_file());
    let root = here.ancestors().find(is_root);
    root.map(Path::to_owned).with_context(|| format!("{} is not in a checkout of Order API", here.display()))
}

/// The folder from which the template is deployed locally.
///
/// It holds a copy of the template, byte for byte, and the functions' builds for this machine under the paths that the
/// template names. They stay out of `target/lambda/`, where the arm64 builds for AWS belong. `make arm64-check` sets
/// `ORDER_API_STAGING` to a folder in which these builds have been made fit for this machine, and `make load` to one with
/// optimised builds.
pub fn staging() -> anyhow::Result<PathBuf> {
    let folder = std::env::var_os("ORDER_API_STAGING").unwrap_or_else(|| "target/local".into());
    Ok(root()?.join(folder))
}

/// Architecture of this machine, as the template's parameter names it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

/// Variables by which a process reaches this machine itself without the user's HTTP proxy. Some programs read the one,
/// some the other.
#[must_use]
pub fn without_proxy() -> [(&'static str, String); 2] {
    ["NO_PROXY", "no_proxy"].map(|name| {
        let theirs = std::env::var(name).ok().filter(|hosts| !hosts.is_empty());
        let hosts: Vec<_> = theirs.into_iter().chain(["localhost,127.0.0.1,::1".to_owned()]).collect();
        (name, hosts.join(","))
    })
}

/// The sample event of a function.
pub fn sample_event(function: &str) -> anyhow::Result<PathBuf> {
    Ok(root()?.join("events").join(function).with_extension("json"))
}

/// Environment of a process that works with the emulator at `endpoint` and must not see the user's AWS account.
pub(crate) fn aws_environment(endpoint: &str) -> [(&'static str, &str); 7] {
    [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("AWS_REGION", REGION),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ]
}

/// A command whose AWS clients reach the emulator at `endpoint` and not the user's account. It gets no other AWS
/// variable, and no proxy to this machine.
#[must_use]
pub fn command_for(endpoint: &str, program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs(aws_environment(endpoint)).envs(without_proxy());
    command
}

/// Builder of HTTP clients that reach only this machine, so they use no proxy.
pub fn http() -> reqwest::ClientBuilder {
    internet().no_proxy()
}

/// Builder of HTTP clients.
pub(crate) fn internet() -> reqwest::ClientBuilder {
    shared::aws::http_builder().unwrap_or_else(|error| panic!("can't make an HTTP client: {error}"))
}

/// The region of an environment of `samconfig.toml`.
pub fn region(env: &str) -> anyhow::Result<String> {
    let config: toml::Table = std::fs::read_to_string(root()?.join("samconfig.toml"))?.parse()?;
    let region = ["global", "deploy"].iter().find_map(|command| {
        config.get(env)?.get(command)?.get("parameters")?.get("region")?.as_str().map(str::to_owned)
    });
    region.with_context(|| format!("samconfig.toml has no region for the environment {env}"))
}

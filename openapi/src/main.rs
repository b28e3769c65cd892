//! Prints the OpenAPI document; with the argument `notification`, the JSON Schema of the topic's messages.

use anyhow::bail;

fn main() -> anyhow::Result<()> {
    match std::env::args().nth(1).as_deref() {
        None => print!("{}", openapi::yaml()?),
        Some("notification") => print!("{}", openapi::notification_schema()?),
        Some(other) => bail!("there is no document {other:?}"),
    }
    Ok(())
}

//! Prints the OpenAPI document.

fn main() -> anyhow::Result<()> {
    print!("{}", openapi::document().to_yaml()?);
    Ok(())
}

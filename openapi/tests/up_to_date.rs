//! `openapi.yaml` is up to date with the types.

#[test]
fn openapi_yaml_is_up_to_date() {
    let generated = openapi::document().to_yaml().expect("the document has a YAML form");
    assert!(generated == include_str!("../../openapi.yaml"), "openapi.yaml is stale: run `make openapi`");
}

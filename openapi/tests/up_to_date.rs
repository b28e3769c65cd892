//! The document that is checked in is the one that the types make.

#[test]
fn openapi_yaml_is_up_to_date() {
    let made = openapi::document().to_yaml().expect("the document has a YAML form");
    assert_eq!(made, include_str!("../../openapi.yaml"), "openapi.yaml is stale: run `make openapi`");
}

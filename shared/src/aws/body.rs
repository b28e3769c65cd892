use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::config::interceptors::BeforeDeserializationInterceptorContextMut;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;

/// Takes the body of a successful answer before the SDK parses it, so that its orders can be parsed faster. The SDK gets an
/// empty JSON object, so the operation's output has no values. An error is left to the SDK.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body(Arc<Mutex<String>>);

impl Body {
    /// The body of an operation that has succeeded.
    pub(crate) fn take(&self) -> String {
        mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[dyn_dispatch_hint]
impl Intercept for Body {
    fn name(&self) -> &'static str {
        "Body"
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response_mut();
        if response.status().is_success() {
            let body = mem::replace(response.body_mut(), SdkBody::from("{}"));
            let body = str::from_utf8(body.bytes().ok_or("the body is a stream")?)?.to_owned();
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
        }
        Ok(())
    }
}

//! The hosted sign-in over HTTP, as a browser and a web UI use it.

use aws_sdk_cognitoidentityprovider::Client as Cognito;
use aws_sdk_cognitoidentityprovider::types::AttributeType;
use local::Stack;
use local::sign_in::{Attempt, Person, Tokens};
use reqwest::redirect::Policy;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::{Api, claims, person, remember};

const SCOPE: &str = "openid email orders/read orders/write";

/// Asserts that the token endpoint refused with this error (RFC 6749, 5.2).
async fn assert_refused(response: Response, error: &str) {
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(response.json::<Value>().await.unwrap()["error"], error);
}

async fn tokens(response: Response) -> Tokens {
    assert_eq!(response.status(), StatusCode::OK);
    let tokens: Tokens = response.json().await.unwrap();
    remember(&tokens.access_token);
    tokens.id_token.iter().chain(&tokens.refresh_token).for_each(|token| _ = remember(token));
    tokens
}

async fn refresh(stack: &Stack, token: &str) -> Response {
    let form = [("grant_type", "refresh_token"), ("client_id", &stack.web_client_id), ("refresh_token", token)];
    stack.http().build().unwrap().post(format!("{}/oauth2/token", stack.sign_in_url)).form(&form).send().await.unwrap()
}

#[tokio::test]
async fn a_person_signs_in_uses_the_api_refreshes_and_signs_out() {
    let api = Api::new().await;
    let stack = &api.stack;
    let ann = person(stack, "ann", false).await;

    let attempt = Attempt::new(SCOPE);
    remember(&attempt.verifier);
    let code = remember(attempt.sign_in(stack, &ann).await.unwrap());
    let given = tokens(attempt.exchange(stack, &code).await.unwrap()).await;
    let order = json!({"restaurant_id": "R", "quantity": 1});
    let order = api.with_token(&given.access_token).put("/orders", &order).await.is(201).json();
    let access = claims(&given.access_token);
    assert_eq!(order["user_id"], access["sub"]);
    assert_eq!(access["exp"].as_u64().unwrap() - access["iat"].as_u64().unwrap(), 15 * 60);
    let identity = claims(given.id_token.as_deref().unwrap());
    assert_eq!((&identity["email"], &identity["sub"]), (&json!(ann.email), &access["sub"]));

    // The code is valid once.
    assert_refused(attempt.exchange(stack, &code).await.unwrap(), "invalid_grant").await;

    let again = tokens(refresh(stack, given.refresh_token.as_deref().unwrap()).await).await;
    assert_ne!(again.access_token, given.access_token);
    assert_eq!(api.with_token(&again.access_token).get("/orders").await.is(200).json(), json!([order]));
    assert_refused(refresh(stack, "nonsense").await, "invalid_grant").await;

    let browser = stack.http().redirect(Policy::none()).build().unwrap();
    let logout = |uri: &'static str| {
        let query = [("client_id", stack.web_client_id.as_str()), ("logout_uri", uri)];
        browser.get(format!("{}/logout", stack.sign_in_url)).query(&query).send()
    };
    let left = logout("http://localhost:5173/").await.unwrap();
    assert_eq!((left.status().as_u16(), left.headers()["location"].as_bytes()), (302, &b"http://localhost:5173/"[..]));
    assert_eq!(logout("https://elsewhere.example/").await.unwrap().status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_code_is_useless_without_its_verifier() {
    let api = Api::new().await;
    let stack = &api.stack;
    let ann = person(stack, "ann", false).await;
    let attempt = Attempt::new(SCOPE);
    let code = remember(attempt.sign_in(stack, &ann).await.unwrap());
    let stolen = Attempt { verifier: Attempt::new(SCOPE).verifier, ..attempt.clone() };
    assert_refused(stolen.exchange(stack, &code).await.unwrap(), "invalid_grant").await;
    assert_refused(
        Attempt { verifier: String::new(), ..attempt.clone() }.exchange(stack, &code).await.unwrap(),
        "invalid_grant",
    )
    .await;
    let elsewhere = Attempt { redirect_uri: "https://elsewhere.example/".into(), ..attempt.clone() };
    assert_refused(elsewhere.exchange(stack, &code).await.unwrap(), "invalid_grant").await;
    // The code itself was valid all along.
    tokens(attempt.exchange(stack, &code).await.unwrap()).await;
}

#[tokio::test]
async fn wrong_redirect_uris_scopes_and_passwords_are_refused() {
    let api = Api::new().await;
    let stack = &api.stack;
    let mut ann = person(stack, "ann", false).await;

    // A client gets codes only at its own redirect URIs and for scopes that it may have.
    let elsewhere = Attempt { redirect_uri: "https://elsewhere.example/".into(), ..Attempt::new(SCOPE) };
    assert!(elsewhere.sign_in(stack, &ann).await.unwrap_err().to_string().contains("400"));
    let greedy = Attempt::new("openid orders/admin").sign_in(stack, &ann).await;
    assert_eq!(greedy.unwrap_err().to_string(), "the sign-in page answered 302 Found");

    ann.password = "Wrong-password-1".into();
    let wrong = Attempt::new(SCOPE).sign_in(stack, &ann).await;
    assert_eq!(wrong.unwrap_err().to_string(), "the sign-in was refused");
}

#[tokio::test]
async fn people_can_sign_up_and_sign_in_once_their_address_is_confirmed() {
    let api = Api::new().await;
    let stack = &api.stack;
    let cognito = Cognito::new(&stack.sdk_config().await);
    let zoe = Person { email: "zoe@example.com".into(), password: remember("Zoe-has-1-password".to_owned()) };
    let weak = cognito.sign_up().client_id(&stack.web_client_id).username("weak@example.com").password("Short-1");
    assert!(weak.send().await.unwrap_err().into_service_error().is_invalid_password_exception());
    let sign_up = cognito.sign_up().client_id(&stack.web_client_id).username(&zoe.email).password(&zoe.password);
    let address = AttributeType::builder().name("email").value(&zoe.email).build().unwrap();
    sign_up.user_attributes(address).send().await.unwrap();

    let early = Attempt::new(SCOPE).sign_in(stack, &zoe).await;
    assert_eq!(early.unwrap_err().to_string(), "the sign-in was refused");
    let confirm = cognito.admin_confirm_sign_up().user_pool_id(&stack.user_pool_id);
    confirm.username(&zoe.email).send().await.unwrap();
    remember(Attempt::new(SCOPE).sign_in(stack, &zoe).await.unwrap());
}

#[tokio::test]
async fn people_sign_in_by_a_browser() {
    let api = Api::new().await;
    let stack = &api.stack;
    let mut ann = person(stack, "ann", false).await;
    let attempt = Attempt::new(SCOPE);
    let code = remember(attempt.sign_in_by_browser(stack, &ann).await.unwrap());
    tokens(attempt.exchange(stack, &code).await.unwrap()).await;

    ann.password = "Wrong-password-1".into();
    let wrong = Attempt::new(SCOPE).sign_in_by_browser(stack, &ann).await;
    assert_eq!(wrong.unwrap_err().to_string(), "the sign-in was refused");
    let elsewhere = Attempt { redirect_uri: "https://elsewhere.example/".into(), ..Attempt::new(SCOPE) };
    let refused = elsewhere.sign_in_by_browser(stack, &ann).await;
    assert_eq!(refused.unwrap_err().to_string(), "the sign-in page answered 400");
}

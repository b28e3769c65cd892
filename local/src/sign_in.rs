//! Sign-in to a stack: people use the hosted sign-in as a browser does, machines use client credentials.

use std::process::Stdio;

use anyhow::{Context, ensure};
use aws_sdk_cognitoidentityprovider::Client;
use aws_sdk_cognitoidentityprovider::types::{AttributeType, MessageActionType};
use base64_simd::URL_SAFE_NO_PAD;
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use reqwest::{Response, Url};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use uuid::Uuid;

use crate::environment::root;
use crate::{Stack, WEB_ORIGIN};

/// A person with an account.
#[derive(Clone)]
pub struct Person {
    /// E-mail address, the name for signing in.
    pub email: String,
    /// Password.
    pub password: String,
}

/// Response of the token endpoint (RFC 6749, 5.1).
#[derive(Clone, Deserialize)]
pub struct Tokens {
    /// Token for the API.
    pub access_token: String,
    /// Identity of the person who signed in; only with the scope `openid`.
    pub id_token: Option<String>,
    /// Token for getting new tokens; only people have one.
    pub refresh_token: Option<String>,
}

/// Creates an account with a random password, in the group of admins if asked.
pub async fn add_person(stack: &Stack, email: &str, admin: bool) -> anyhow::Result<Person> {
    let cognito = Client::new(&stack.sdk_config().await);
    let person = Person { email: email.to_owned(), password: format!("Order-{}", Uuid::new_v4()) };
    let attribute = |name, value| AttributeType::builder().name(name).value(value).build();
    cognito
        .admin_create_user()
        .user_pool_id(&stack.user_pool_id)
        .username(email)
        .user_attributes(attribute("email", email)?)
        .user_attributes(attribute("email_verified", "true")?)
        .message_action(MessageActionType::Suppress)
        .send()
        .await?;
    cognito
        .admin_set_user_password()
        .user_pool_id(&stack.user_pool_id)
        .username(email)
        .password(&person.password)
        .permanent(true)
        .send()
        .await?;
    if admin {
        let add = cognito.admin_add_user_to_group().user_pool_id(&stack.user_pool_id);
        add.username(email).group_name("admins").send().await?;
    }
    Ok(person)
}

/// Returns the secret of a machine's client.
pub async fn client_secret(stack: &Stack, client_id: &str) -> anyhow::Result<String> {
    let cognito = Client::new(&stack.sdk_config().await);
    let described =
        cognito.describe_user_pool_client().user_pool_id(&stack.user_pool_id).client_id(client_id).send().await?;
    let client = described.user_pool_client.context("there is no such client")?;
    client.client_secret.context("the client has no secret")
}

/// Returns an access token of the stack's machine client with these scopes, by default with all that it may have.
pub async fn machine_token(stack: &Stack, scope: Option<&str>) -> anyhow::Result<String> {
    let secret = client_secret(stack, &stack.machine_client_id).await?;
    let mut form = vec![("grant_type", "client_credentials")];
    form.extend(scope.map(|scope| ("scope", scope)));
    let request = stack.http().build()?.post(format!("{}/oauth2/token", stack.sign_in_url)).form(&form);
    let response = request.basic_auth(&stack.machine_client_id, Some(secret)).send().await?;
    tokens(response).await.map(|tokens| tokens.access_token)
}

/// Signs a person in with these scopes, by default with all that the web UI may have, and returns the tokens.
pub async fn person_tokens(stack: &Stack, person: &Person, scope: Option<&str>) -> anyhow::Result<Tokens> {
    let attempt = Attempt::new(scope.unwrap_or("openid email orders/read orders/write"));
    let code = attempt.sign_in(stack, person).await?;
    tokens(attempt.exchange(stack, &code).await?).await
}

async fn tokens(response: Response) -> anyhow::Result<Tokens> {
    let status = response.status();
    // A successful response must not be printed: its body is secret.
    ensure!(status.is_success(), "the token endpoint answered {status}: {}", response.text().await?);
    Ok(response.json().await?)
}

/// A sign-in by authorization code (RFC 6749, 4.1) with PKCE (RFC 7636), so the code is useless to anybody else.
#[derive(Clone)]
pub struct Attempt {
    /// PKCE code verifier, the secret of this attempt.
    pub verifier: String,
    /// State, which must come back with the code.
    pub state: String,
    /// URL to which the code is sent.
    pub redirect_uri: String,
    /// Requested scopes.
    pub scope: String,
}

impl Attempt {
    /// Starts an attempt with these scopes.
    #[must_use]
    pub fn new(scope: &str) -> Self {
        Self {
            verifier: format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
            state: Uuid::new_v4().to_string(),
            redirect_uri: format!("{WEB_ORIGIN}/"),
            scope: scope.to_owned(),
        }
    }

    /// Query parameters of the authorization request.
    #[must_use]
    pub fn parameters<'a>(&'a self, stack: &'a Stack) -> Vec<(&'static str, String)> {
        vec![
            ("response_type", "code".into()),
            ("client_id", stack.web_client_id.clone()),
            ("redirect_uri", self.redirect_uri.clone()),
            ("scope", self.scope.clone()),
            ("state", self.state.clone()),
            ("code_challenge", URL_SAFE_NO_PAD.encode_to_string(Sha256::digest(&self.verifier))),
            ("code_challenge_method", "S256".into()),
        ]
    }

    /// Fills in the sign-in page as this person and returns the authorization code.
    pub async fn sign_in(&self, stack: &Stack, person: &Person) -> anyhow::Result<String> {
        if stack.endpoint.is_none() {
            // The managed pages of AWS need a browser.
            return self.sign_in_by_browser(stack, person).await;
        }
        let browser = stack.http().redirect(Policy::none()).build()?;
        let page = browser.get(format!("{}/oauth2/authorize", stack.sign_in_url)).query(&self.parameters(stack));
        let page = page.send().await?;
        ensure!(page.status() == 200, "the sign-in page answered {}", page.status());
        let mut form = self.parameters(stack);
        form.extend([("username", person.email.clone()), ("password", person.password.clone())]);
        let response = browser.post(format!("{}/login", stack.sign_in_url)).form(&form).send().await?;
        let location = response.headers().get(LOCATION).context("the sign-in was refused")?.to_str()?;
        self.code(location)
    }

    /// Does the same in a headless browser, with `web/e2e/sign-in.ts`.
    pub async fn sign_in_by_browser(&self, stack: &Stack, person: &Person) -> anyhow::Result<String> {
        let authorize = format!("{}/oauth2/authorize", stack.sign_in_url);
        let input = json!({
            "url": Url::parse_with_params(&authorize, self.parameters(stack))?.as_str(),
            "redirectUri": self.redirect_uri,
            "email": person.email,
            "password": person.password,
        });
        let root = root()?;
        let mut node = Command::new(root.join(".tools/aws/bin/node"))
            .arg(root.join("web/e2e/sign-in.ts"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("node does not start: run `make tools`")?;
        // Not on the command line, where other users of the machine could read the password.
        let mut stdin = node.stdin.take().context("node has no standard input")?;
        // If it has ended already, its own error says why.
        let _ = stdin.write_all(input.to_string().as_bytes()).await;
        drop(stdin);
        let ended = node.wait_with_output().await?;
        let error = String::from_utf8_lossy(&ended.stderr);
        ensure!(ended.status.success(), "{}", error.trim().trim_start_matches("error: "));
        self.code(String::from_utf8(ended.stdout)?.trim())
    }

    /// Returns the code in the URL to which the sign-in has redirected.
    fn code(&self, location: &str) -> anyhow::Result<String> {
        let location = Url::parse(location)?;
        ensure!(location.as_str().starts_with(&self.redirect_uri), "the redirect leads elsewhere");
        let parameter = |name| location.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        ensure!(parameter("state").as_ref() == Some(&self.state), "the redirect has another state");
        parameter("code").context("the redirect has no code")
    }

    /// Exchanges the code for tokens.
    pub async fn exchange(&self, stack: &Stack, code: &str) -> anyhow::Result<Response> {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", &stack.web_client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code", code),
            ("code_verifier", &self.verifier),
        ];
        Ok(stack.http().build()?.post(format!("{}/oauth2/token", stack.sign_in_url)).form(&form).send().await?)
    }
}

//! HTTP clients: hyper's for the AWS SDK, and reqwest, which is made of hyper, for the providers.
//!
//! The SDK's own client brings HTTP/2, which its services here do not speak, and reads the certificates slowly. Without
//! it, a start takes fewer instructions, and a bootstrap is smaller (`docs/performance.md`).

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::retry::ErrorKind;
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::client::legacy::{Client, Error as ClientError};
use hyper_util::rt::TokioExecutor;
use reqwest::ClientBuilder;
use rustls::{CipherSuite, ClientConfig};

use super::certificates::Verifier;
use crate::Cause;

/// Limit for the TCP connection. The SDK's time-out of an attempt also limits the look-up of the name and the TLS
/// handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// HTTP client of the SDK. An answer is in memory when the SDK gets it. The SDK's time-outs of an attempt and of an
/// operation hold, but not those to connect and to read. It uses no proxy, because there is none between a function and
/// AWS.
pub fn http_client() -> Result<SharedHttpClient, Cause> {
    let connector = SharedHttpConnector::new(Connector::new(&certificates())?);
    Ok(http_client_fn(move |_, _| connector.clone()))
}

/// Builder of other HTTP clients, with the same certificates and cryptography.
pub fn http_builder() -> Result<ClientBuilder, Cause> {
    Ok(reqwest::Client::builder().tls_backend_preconfigured(tls(&certificates())?))
}

/// File of the authorities that the machine trusts: that which `SSL_CERT_FILE` names, or the system's.
fn certificates() -> PathBuf {
    // The probe does not know the file of macOS.
    openssl_probe::probe().cert_file.unwrap_or_else(|| "/etc/ssl/cert.pem".into())
}

/// TLS with these authorities. Cryptography is ring's: aws-lc gathers entropy at its start, which takes tens of
/// milliseconds.
fn tls(certificates: &Path) -> Result<ClientConfig, Cause> {
    let mut provider = rustls::crypto::ring::default_provider();
    // Offers the suite with SHA-256 first: Graviton2 and most x86 processors have no instructions for SHA-384, and a
    // handshake hashes a lot. The server may choose another one.
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    let provider = Arc::new(provider);
    let verifier = Verifier::new(certificates, provider.clone())?;
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(tls.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth())
}

#[derive(Debug)]
struct Connector(Client<HttpsConnector<TcpConnector>, SdkBody>);

impl Connector {
    fn new(certificates: &Path) -> Result<Self, Cause> {
        let mut tcp = TcpConnector::new();
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        tcp.set_nodelay(true);
        let https = HttpsConnectorBuilder::new().with_tls_config(tls(certificates)?).https_or_http().enable_http1();
        Ok(Self(Client::builder(TokioExecutor::new()).build(https.wrap_connector(tcp))))
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = request.try_into_http1x().map_err(|error| ConnectorError::user(error.into()))?;
            let response = client.request(request).await.map_err(|error| failure(error.into()))?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await.map_err(|error| failure(error.into()))?.to_bytes();
            let response = lambda_http::http::Response::from_parts(parts, SdkBody::from(body));
            HttpResponse::try_from(response).map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// Says what the SDK must know of a failure, as its own client does: whether the request may be sent again.
fn failure(error: Cause) -> ConnectorError {
    let is_cut = source(&error).is_some_and(hyper::Error::is_incomplete_message);
    let is_closed = source(&error).is_some_and(|error: &hyper::Error| error.is_closed() || error.is_canceled());
    let is_connect = source(&error).is_some_and(ClientError::is_connect);
    if is_cut {
        ConnectorError::other(error, Some(ErrorKind::TransientError))
    } else if is_connect || is_closed || source::<std::io::Error>(&error).is_some() {
        ConnectorError::io(error)
    } else {
        ConnectorError::other(error, None)
    }
}

/// The first error of that type among an error and its causes.
fn source<E: Error + 'static>(error: &Cause) -> Option<&E> {
    let mut next = Some(error.as_ref() as &(dyn Error + 'static));
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::SocketAddr;

    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
    use axum::Router;
    use axum::http::StatusCode;
    use rcgen::CertifiedKey;
    use rustls::ServerConfig;
    use rustls::crypto::ring;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;
    use tokio_rustls::TlsAcceptor;

    use super::*;
    use crate::aws::{Error, Queue, retries};
    use crate::telemetry;

    fn queue(endpoint: &str) -> Queue {
        let credentials = Credentials::new("id", "secret", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .retry_config(retries().with_max_attempts(1))
            .http_client(http_client().unwrap())
            .endpoint_url(endpoint)
            .build();
        Queue::new(&sdk, format!("{endpoint}/orders"))
    }

    async fn send(endpoint: &str) -> Result<(), Error> {
        queue(endpoint).send("{}", None).await
    }

    /// A server for that name, whose certificate is in the file. Returns its address.
    async fn tls_server(name: &str, file: &Path) -> SocketAddr {
        let CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        fs::write(file, cert.pem()).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.into()], signing_key.into())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (connection, _) = listener.accept().await.unwrap();
            // A client that does not trust the server ends the connection.
            if let Ok(mut connection) = TlsAcceptor::from(Arc::new(config)).accept(connection).await {
                connection.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
                let _ = connection.read_to_end(&mut Vec::new()).await;
            }
        });
        address
    }

    #[tokio::test]
    async fn only_a_server_whose_authority_and_name_are_trusted_is_asked() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp");
        fs::create_dir_all(&folder).unwrap();
        let [ours, other] = ["ours.pem", "other.pem"].map(|name| folder.join(name));
        tls_server("localhost", &other).await;
        for (trusted, name, expected) in [
            (&ours, "localhost", None),
            (&other, "localhost", Some("BadSignature")),
            (&ours, "example.com", Some("not valid for name \"localhost\"")),
        ] {
            let address = tls_server(name, &ours).await;
            let request = HttpRequest::get(format!("https://localhost:{}", address.port())).unwrap();
            let answer = Connector::new(trusted).unwrap().call(request).await;
            let error = answer.map(|answer| assert_eq!(answer.status().as_u16(), 204)).err();
            let error = error.map(|error| telemetry::describe(&error));
            assert!(error.is_some() == expected.is_some(), "{name}: {error:?}");
            let shown = error.unwrap_or_default();
            assert!(expected.is_none_or(|expected| shown.contains(expected)), "{name}: {shown}");
        }
    }

    #[tokio::test]
    async fn a_request_that_nobody_answers_may_be_sent_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        for answer in ["", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{"] {
            let cut = async {
                let (mut connection, _) = listener.accept().await.unwrap();
                connection.read_exact(&mut [0; 4]).await.unwrap();
                connection.write_all(answer.as_bytes()).await.unwrap();
            };
            let (sent, ()) = tokio::join!(send(&endpoint), cut);
            assert!(matches!(sent, Err(Error::Unavailable(_))), "cut after {answer:?}: {sent:?}");
        }
        drop(listener);
        let sent = send(&endpoint).await;
        assert!(matches!(sent, Err(Error::Unavailable(_))), "refused: {sent:?}");
        let sent = send("http://no-such-host.invalid").await;
        assert!(matches!(sent, Err(Error::Unavailable(_))), "not found: {sent:?}");
    }

    #[tokio::test]
    async fn a_request_that_is_given_up_closes_its_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let queue = queue(&format!("http://{}", listener.local_addr().unwrap()));
        let started = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            connection.read_exact(&mut [0; 4]).await.unwrap();
            connection
        };
        let mut connection = tokio::select! {
            sent = queue.send("{}", None) => panic!("nobody has answered: {sent:?}"),
            connection = started => connection,
        };
        let closed = timeout(Duration::from_secs(9), connection.read_to_end(&mut Vec::new())).await;
        assert!(closed.is_ok());
    }

    #[tokio::test]
    async fn a_request_is_sent_as_it_was_signed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let mut request = HttpRequest::new(SdkBody::from("{}"));
        request.set_method("POST").unwrap();
        request.set_uri(format!("http://{host}/a%2Fb//%7E?c=%27%20d&e=")).unwrap();
        request.headers_mut().insert("content-length", "2");
        request.headers_mut().insert("x-amz-target", "Service.Operation");
        let connector = Connector::new(&certificates()).unwrap();
        let received = async {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            while !received.ends_with(b"\r\n\r\n{}") {
                assert_ne!(connection.read_buf(&mut received).await.unwrap(), 0);
            }
            String::from_utf8(received).unwrap()
        };
        let (_, received) = tokio::join!(connector.call(request), received);
        let (first, rest) = received.split_once("\r\n").unwrap();
        assert_eq!(first, "POST /a%2Fb//%7E?c=%27%20d&e= HTTP/1.1");
        let mut headers: Vec<_> = rest.lines().take_while(|line| !line.is_empty()).collect();
        headers.sort_unstable();
        let host = format!("host: {host}");
        assert_eq!(headers, ["content-length: 2", &host, "x-amz-target: Service.Operation"]);
    }

    #[tokio::test]
    async fn a_failure_that_may_pass_is_not_logged_as_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let service = Router::new().fallback(async || StatusCode::SERVICE_UNAVAILABLE);
        tokio::spawn(async { axum::serve(listener, service).await.unwrap() });
        let lines = telemetry::logged(async || assert!(send(&endpoint).await.is_err())).await;
        assert!(lines.iter().all(|line| line["level"] != "ERROR"), "{lines:?}");
    }
}

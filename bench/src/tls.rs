//! The TLS of the canned AWS: a chain of certificates as AWS has it, and the bundle by which a function trusts it.
//!
//! The certificates have ECDSA keys, and those of most services of AWS have RSA keys: ring makes none of these.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use axum::serve::Listener;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Where distributions of Linux keep the certificates of about 140 authorities.
const BUNDLES: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// A listener on `localhost` that speaks TLS.
pub struct TlsListener {
    /// Number of connections so far.
    pub connections: Arc<AtomicUsize>,
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl TlsListener {
    /// Listens on a free port. Writes the bundle of this machine, with the listener's authority in it, to `bundle`.
    pub async fn bind(bundle: &Path) -> anyhow::Result<Self> {
        let root_key = KeyPair::generate()?;
        let root_params = authority("Benchmark root")?;
        let root = root_params.self_signed(&root_key)?;
        let root_issuer = Issuer::new(root_params, root_key);

        let between_key = KeyPair::generate()?;
        let between_params = authority("Benchmark intermediate")?;
        let between = between_params.signed_by(&between_key, &root_issuer)?;
        let between_issuer = Issuer::new(between_params, between_key);

        let leaf_key = KeyPair::generate()?;
        let leaf = CertificateParams::new(["localhost".to_owned()])?.signed_by(&leaf_key, &between_issuer)?;

        std::fs::write(bundle, format!("{}\n{}", usual_bundle()?, root.pem()))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.into(), between.into()], leaf_key.into())?;
        // DynamoDB offers no HTTP/2.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tcp = TcpListener::bind(("localhost", 0)).await?;
        Ok(Self { connections: Arc::default(), tcp, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}

fn authority(name: &str) -> anyhow::Result<CertificateParams> {
    let mut params = CertificateParams::new([])?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Ok(params)
}

fn usual_bundle() -> anyhow::Result<String> {
    let path = BUNDLES.map(PathBuf::from).into_iter().find(|path| path.exists());
    let path = path.context("no bundle of certificates: install the package ca-certificates")?;
    std::fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = Listener::accept(&mut self.tcp).await;
            self.connections.fetch_add(1, Ordering::Relaxed);
            let _ = stream.set_nodelay(true);
            // A function may end in the middle of its handshake.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

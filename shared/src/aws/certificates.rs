//! Certificates of the authorities that a function trusts.

use std::fmt::{self, Debug, Formatter};
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::thread;

use memchr::memmem::Finder;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use crate::Cause;

/// What the thread has made of the file.
type Read = Result<Arc<WebPkiServerVerifier>, String>;

/// Verifies servers' certificates, by rustls' own verifier. A thread reads the authorities while the function opens its
/// first connection (`docs/performance.md` has the time that this saves).
pub(super) struct Verifier {
    read: LazyLock<Read, Box<dyn FnOnce() -> Read + Send>>,
    schemes: Vec<SignatureScheme>,
}

impl Verifier {
    /// Starts to read the file. A file without authorities makes each connection fail.
    pub(super) fn start(file: PathBuf, provider: Arc<CryptoProvider>) -> io::Result<Self> {
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let reading = thread::Builder::new().spawn(move || verifier(&file, provider))?;
        let read =
            move || reading.join().unwrap_or_else(|_| Err("the thread that reads certificates has panicked".into()));
        Ok(Self { read: LazyLock::new(Box::new(read)), schemes })
    }

    /// Waits for the thread.
    fn read(&self) -> Result<&WebPkiServerVerifier, Error> {
        self.read.as_deref().map_err(|cause| Error::General(cause.clone()))
    }
}

impl Debug for Verifier {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("Verifier")
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.read()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.read()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.read()?.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}

fn verifier(file: &Path, provider: Arc<CryptoProvider>) -> Read {
    let verifier = || {
        let roots = Arc::new(roots(file)?);
        Ok(WebPkiServerVerifier::builder_with_provider(roots, provider).build()?)
    };
    verifier().map_err(|cause: Cause| format!("can't read certificates from {}: {cause}", file.display()))
}

/// Authorities in a file. A file without any is an error, so that a failed connection names the file.
fn roots(file: &Path) -> Result<RootCertStore, Cause> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(&fs::read(file)?));
    if roots.is_empty() { Err("it has none".into()) } else { Ok(roots) }
}

/// Certificates in a file of authorities (RFC 7468). What can't be read is left out, as is what rustls can't use.
///
/// rustls' own reader decodes in constant time, to protect secret keys. Certificates are public, and this is several
/// times faster.
fn certificates(pem: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    let (begin, end) = (Finder::new("-----BEGIN CERTIFICATE-----"), Finder::new("-----END CERTIFICATE-----"));
    let mut rest = pem;
    iter::from_fn(move || {
        rest = &rest[begin.find(rest)? + begin.needle().len()..];
        let (encoded, after) = rest.split_at(end.find(rest)?);
        rest = after;
        Some(decoded(encoded.trim_ascii()).map(CertificateDer::from))
    })
    .flatten()
}

/// Bytes of a text in base64 with line breaks. A line has 64 characters (RFC 7468). So the line breaks of most files need
/// not be looked for, which would take longer than the decoding.
fn decoded(encoded: &[u8]) -> Result<Vec<u8>, base64_simd::Error> {
    let mut text = Vec::with_capacity(encoded.len());
    for line in encoded.chunks(65) {
        text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
    }
    base64_simd::STANDARD.decode_to_vec(text).or_else(|_| base64_simd::forgiving_decode_to_vec(encoded))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        assert!(roots(Path::new("Cargo.toml")).is_err());
        assert!(roots(Path::new("no-such-file")).is_err());
    }

    #[test]
    fn certificates_are_read_whatever_stands_between_them() {
        let lines = format!("{0}\n{0}\n", "AAEC".repeat(16));
        let text = "# Root A\n-----BEGIN CERTIFICATE-----\nAAEC\r\nAwQ=\r\n-----END CERTIFICATE-----\n\n\
                    -----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n\
                    -----BEGIN CERTIFICATE-----\n{lines}-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nBg==";
        let text = text.replace("{lines}", &lines);
        let read: Vec<_> = certificates(text.as_bytes()).map(|certificate| certificate.to_vec()).collect();
        assert_eq!(read, [vec![0, 1, 2, 3, 4], [0, 1, 2].repeat(32)]);
    }
}

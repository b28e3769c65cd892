//! Certificates of the authorities that a function trusts.

use std::fmt::{self, Debug, Formatter};
use std::fs;
use std::hint;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::{Arc, LazyLock};

use memchr::memmem::{self, Finder};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use tokio::runtime::Handle;

use crate::Cause;

/// Start of a certificate in a file (RFC 7468), and its end.
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Size of the largest file of authorities whose memory is kept, in bytes. That of Amazon Linux 2 has some 220 KB.
const LARGEST_FILE: usize = 1 << 19;

/// rustls' verifier, or why there is none.
type Parsed = Result<Arc<WebPkiServerVerifier>, String>;

/// Parses the authorities once, in the first handshake.
type Parse = LazyLock<Parsed, Box<dyn FnOnce() -> Parsed + Send>>;

/// Verifies servers' certificates, by rustls' own verifier. The authorities are parsed while the first handshake waits for
/// the server.
pub(super) struct Verifier {
    parse: Arc<Parse>,
    schemes: Vec<SignatureScheme>,
}

impl Verifier {
    /// Reads the file. Fails if it has no certificates. If rustls can use none of them, each connection fails.
    pub(super) fn new(file: &Path, provider: Arc<CryptoProvider>) -> Result<Self, Cause> {
        let cannot = |cause: Cause| format!("can't read certificates from {}: {cause}", file.display());
        keep_freed_memory();
        let pem = fs::read(file).map_err(|error| cannot(error.into()))?;
        if memmem::find(&pem, BEGIN.as_bytes()).is_none() {
            return Err(cannot("it has none".into()).into());
        }
        let schemes = provider.signature_verification_algorithms.supported_schemes();
        let parse = move || {
            let parsed = panic::catch_unwind(AssertUnwindSafe(|| verifier(&pem, provider)));
            parsed.unwrap_or_else(|_| Err("the parser of the certificates panicked".into()))
        };
        Ok(Self { parse: Arc::new(Parse::new(Box::new(parse))), schemes })
    }

    fn parsed(&self) -> Result<&WebPkiServerVerifier, Error> {
        self.parse.as_deref().map_err(|cause| Error::General(cause.clone()))
    }
}

/// Makes glibc keep the memory of the file when it is freed, for all that comes after it. glibc gives each block of
/// 128 KiB or more back to the kernel, until one was freed: from then on it keeps blocks of that size (mallopt(3),
/// `M_MMAP_THRESHOLD`). The kernel takes a tenth of the first call of a list to provide memory that was not used before.
fn keep_freed_memory() {
    drop(hint::black_box(Vec::<u8>::with_capacity(LARGEST_FILE)));
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
        self.parsed()?.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.parsed()?.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.parsed()?.verify_tls13_signature(message, certificate, signed)
    }

    /// rustls calls this for the first message of a handshake: the task runs while the server's is awaited. In all
    /// handshakes but the first it has nothing to do.
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        if let Ok(runtime) = Handle::try_current() {
            let parse = self.parse.clone();
            runtime.spawn(async move {
                LazyLock::force(&parse);
            });
        }
        self.schemes.clone()
    }
}

fn verifier(pem: &[u8], provider: Arc<CryptoProvider>) -> Parsed {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(certificates(pem));
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
    verifier.map_err(|error| format!("can't use the certificates of this machine: {error}"))
}

/// Certificates in a file of authorities (RFC 7468). What can't be read is left out, as is what rustls can't use.
///
/// rustls' own reader decodes in constant time, to protect secret keys. Certificates are public, and this is several
/// times faster.
fn certificates(pem: &[u8]) -> impl Iterator<Item = CertificateDer<'static>> {
    let (begin, end) = (Finder::new(BEGIN), Finder::new(END));
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
        for file in ["Cargo.toml", "no-such-file"] {
            let verifier = Verifier::new(Path::new(file), Arc::new(rustls::crypto::ring::default_provider()));
            let error = verifier.map(|_| ()).unwrap_err().to_string();
            assert!(error.starts_with(&format!("can't read certificates from {file}: ")), "{error}");
        }
    }

    #[test]
    fn certificates_that_rustls_cannot_use_are_no_authorities() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        assert!(verifier(format!("{BEGIN}\nAAEC\n{END}\n").as_bytes(), provider).is_err());
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

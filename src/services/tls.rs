//! TLS for all clients: rustls with ring, the system's root certificates and those of `SSL_CERT_FILE`.

use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::Error;
use crate::config::variable;

/// The certificate bundles of common systems.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Installs ring as the process's crypto provider. Idempotent.
pub fn install_crypto() {
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The root certificates as PEM: the system's, and those of `SSL_CERT_FILE`.
/// Errors: `SSL_CERT_FILE` is set, but is not a readable file with certificates.
pub fn roots() -> Result<Vec<u8>, Error> {
    let system = BUNDLES.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
    match variable("SSL_CERT_FILE") {
        Some(path) => with_private(system, std::fs::read(path)),
        None => Ok(system),
    }
}

fn with_private(mut pem: Vec<u8>, private: std::io::Result<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let private = private.map_err(|error| Error::rejected("SSL_CERT_FILE", error))?;
    // Checked here, as the clients would report a file without certificates as an invalid URL.
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&private).collect();
    let found = RootCertStore::empty().add_parsable_certificates(found.unwrap_or_default());
    let (1.., 0) = found else {
        return Err(Error::rejected("SSL_CERT_FILE", "it must hold certificates as PEM"));
    };
    pem.push(b'\n');
    pem.extend(private);
    Ok(pem)
}

#[cfg(test)]
mod tests {
    use super::with_private;

    fn ca() -> String {
        let made = rcgen::generate_simple_self_signed([]);
        made.expect("a CA").cert.pem()
    }

    #[test]
    fn a_private_ca_is_trusted_beside_those_of_the_system() {
        let (system, private) = (ca(), ca());

        let both = with_private(system.clone().into(), Ok(private.clone().into()));

        assert_eq!(both.ok(), Some(format!("{system}\n{private}").into()));
    }
}

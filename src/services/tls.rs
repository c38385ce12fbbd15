//! TLS for every client: rustls on ring, with the system's roots and those of `SSL_CERT_FILE`.

use rustls::{RootCertStore, pki_types::CertificateDer, pki_types::pem::PemObject};

use super::Error;

/// Where systems keep the roots that they trust.
const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Makes ring the process's one provider of cryptography. It can be called again.
pub fn install_crypto() {
    // An error says that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The certificates to trust, as PEM: the system's, and those of `SSL_CERT_FILE`.
/// Errors: `SSL_CERT_FILE` is set and holds none that can be read.
pub fn roots() -> Result<Vec<u8>, Error> {
    let system = BUNDLES.iter().find_map(|path| std::fs::read(path).ok());
    let system = system.unwrap_or_default();
    match std::env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()) {
        Some(path) => with_private(system, std::fs::read(path)),
        None => Ok(system),
    }
}

fn with_private(mut pem: Vec<u8>, private: std::io::Result<Vec<u8>>) -> Result<Vec<u8>, Error> {
    let private = private.map_err(|error| Error::rejected("SSL_CERT_FILE", error))?;
    // The clients would blame their URLs for a file without a certificate.
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

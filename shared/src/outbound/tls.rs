//! TLS of protocols other than HTTP, with the certificates that are trusted there.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{OutboundError, ROOT_CERTIFICATES};

/// The settings of TLS for a server whose certificate must be valid for its name. `authority` has certificates in PEM that are trusted
/// beside the system's.
///
/// # Errors
/// [`OutboundError::Certificate`] if one of them is none, [`OutboundError::Tls`] if TLS cannot be set up.
pub fn tls_config(authority: Option<&str>) -> Result<Arc<ClientConfig>, OutboundError> {
    let mut roots: Arc<RootCertStore> = Arc::clone(&ROOT_CERTIFICATES);
    if let Some(pem) = authority {
        let own = Arc::make_mut(&mut roots);
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|_| OutboundError::Certificate)?;
            own.add(certificate).map_err(|_| OutboundError::Certificate)?;
        }
    }
    Ok(Arc::new(super::tls_builder()?.with_root_certificates(roots).with_no_client_auth()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authority_must_be_a_certificate() {
        assert!(tls_config(None).is_ok());
        let text = "-----BEGIN CERTIFICATE-----\nQUJD\n-----END CERTIFICATE-----\n";
        assert!(matches!(tls_config(Some(text)), Err(OutboundError::Certificate)));
    }
}

//! HTTPS: the configured certificate, reloaded when its files change, so that a renewal needs no restart.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use nvisy_shared::{config::HttpConfig, error_chain, lifecycle::Lifecycle};
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

/// How often the files are read again.
const RELOAD_INTERVAL: Duration = Duration::from_secs(60);

/// Why HTTPS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum TlsError {
    #[error("{0} holds no certificates: NVISY_HTTP_TLS_CERTIFICATE_FILE must name a chain in PEM, the API's own first")]
    Certificate(PathBuf, #[source] pem::Error),
    #[error("{0} holds no private key: NVISY_HTTP_TLS_KEY_FILE must name one in PEM, without a password")]
    Key(PathBuf, #[source] pem::Error),
    #[error("the key {1} does not belong to the certificate {0}: NVISY_HTTP_TLS_* must name a pair")]
    Pair(PathBuf, PathBuf, #[source] rustls::Error),
    #[error("TLS cannot be set up")]
    Setup(#[from] rustls::Error),
}

/// The certificate of the server.
#[derive(Debug)]
pub struct Certificate {
    chain_file: PathBuf,
    key_file: PathBuf,
    current: RwLock<Arc<CertifiedKey>>,
}

impl Certificate {
    /// The configured certificate; `None` where the API speaks plain HTTP.
    pub fn load(http: &HttpConfig) -> Result<Option<Arc<Self>>, TlsError> {
        let (Some(chain_file), Some(key_file)) = (&http.tls_certificate_file, &http.tls_key_file) else {
            return Ok(None);
        };
        let current = RwLock::new(Arc::new(read(chain_file, key_file)?));
        Ok(Some(Arc::new(Self { chain_file: chain_file.clone(), key_file: key_file.clone(), current })))
    }

    /// The TLS settings of connections; the server negotiates HTTP/2 or HTTP/1.1.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        Ok(ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone()))
    }

    /// Reloads the certificate until the soft stop; new connections use it.
    pub async fn watch(self: Arc<Self>, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = lifecycle.soft().cancelled() => return,
                () = tokio::time::sleep(RELOAD_INTERVAL) => {}
            }
            match self.reload() {
                Ok(true) => tracing::info!(file = %self.chain_file.display(), "the certificate was renewed"),
                Ok(false) => {}
                // A renewal may have written only one of the two files so far.
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "the certificate cannot be read, keeping the old one")
                }
            }
        }
    }

    /// Reads the files again; `true` if they hold another certificate.
    fn reload(&self) -> Result<bool, TlsError> {
        let loaded = read(&self.chain_file, &self.key_file)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let renewed = current.cert != loaded.cert;
        *current = Arc::new(loaded);
        Ok(renewed)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    // Explicit: without exactly one provider in the build, the process default panics.
    Arc::new(ring::default_provider())
}

fn read(chain_file: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let invalid = |error| TlsError::Certificate(chain_file.to_owned(), error);
    let chain = CertificateDer::pem_file_iter(chain_file).map_err(invalid)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    if chain.is_empty() {
        return Err(invalid(pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| TlsError::Key(key_file.to_owned(), error))?;
    CertifiedKey::from_der(chain, key, &provider())
        .map_err(|error| TlsError::Pair(chain_file.to_owned(), key_file.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use nvisy_shared::config::Config;

    use super::*;

    /// Writes a certificate of its own and its key; returns the certificate.
    fn issue(folder: &Path) -> String {
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("chain.pem"), issued.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), issued.signing_key.serialize_pem()).unwrap();
        issued.cert.pem()
    }

    fn load(folder: &Path) -> Result<Option<Arc<Certificate>>, TlsError> {
        let file = |name: &str| folder.join(name).display().to_string();
        let config = Config::from_variables([
            ("NVISY_HTTP_TLS_CERTIFICATE_FILE".to_owned(), file("chain.pem")),
            ("NVISY_HTTP_TLS_KEY_FILE".to_owned(), file("key.pem")),
        ]);
        Certificate::load(&config.unwrap().http)
    }

    #[test]
    fn renewed_certificate_is_used_and_an_invalid_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        issue(folder);
        let certificate = load(folder).unwrap().unwrap();
        let current = || certificate.current.read().unwrap().cert.clone();
        let first = current();
        assert!(!certificate.reload().unwrap());

        issue(folder);
        assert!(certificate.reload().unwrap());
        let second = current();
        assert_ne!(first, second);

        fs::write(folder.join("chain.pem"), "half a cert").unwrap();
        assert!(certificate.reload().is_err());
        assert_eq!(current(), second);
    }

    #[test]
    fn errors_name_the_file_and_its_fault() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let error = || load(folder).unwrap_err().to_string();
        assert!(error().contains("chain.pem holds no certificates"), "{}", error());
        let first = issue(folder);
        fs::write(folder.join("key.pem"), "no key").unwrap();
        assert!(error().contains("key.pem holds no private key"), "{}", error());
        issue(folder);
        fs::write(folder.join("chain.pem"), first).unwrap();
        assert!(error().contains("does not belong to the certificate"), "{}", error());
    }
}

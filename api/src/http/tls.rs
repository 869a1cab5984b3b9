//! HTTPS: the configured certificate, read again when its files change, so that a renewal needs no restart.

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
const LOOK: Duration = Duration::from_secs(60);

/// Why HTTPS cannot be spoken.
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

/// The certificate that is shown to whoever connects.
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

    /// How connections are secured; HTTP/2 and HTTP/1.1 are offered by the server.
    pub fn server_config(self: &Arc<Self>) -> Result<ServerConfig, TlsError> {
        Ok(ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(self.clone()))
    }

    /// Shows a renewed certificate from the next connection on, until the soft stop.
    pub async fn watch(self: Arc<Self>, lifecycle: Lifecycle) {
        loop {
            tokio::select! {
                () = lifecycle.soft().cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            match self.renew() {
                Ok(true) => tracing::info!(file = %self.chain_file.display(), "the certificate was renewed"),
                Ok(false) => {}
                // Perhaps one of the two files is written already and the other is not.
                Err(error) => {
                    tracing::warn!(error = error_chain(&error), "the certificate cannot be read, keeping the old one")
                }
            }
        }
    }

    /// Reads the files again; whether they hold another certificate.
    fn renew(&self) -> Result<bool, TlsError> {
        let found = read(&self.chain_file, &self.key_file)?;
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let renewed = current.cert != found.cert;
        *current = Arc::new(found);
        Ok(renewed)
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.read().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    // Named rather than left to the process default: with none or two in the build that panics.
    Arc::new(ring::default_provider())
}

fn read(chain_file: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let wrong = |error| TlsError::Certificate(chain_file.to_owned(), error);
    let chain = CertificateDer::pem_file_iter(chain_file).map_err(wrong)?;
    let chain = chain.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if chain.is_empty() {
        return Err(wrong(pem::Error::NoItemsFound));
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
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(folder.join("chain.pem"), made.cert.pem()).unwrap();
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
        made.cert.pem()
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
    fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        issue(folder);
        let certificate = load(folder).unwrap().unwrap();
        let shown = || certificate.current.read().unwrap().cert.clone();
        let first = shown();
        assert!(!certificate.renew().unwrap());

        issue(folder);
        assert!(certificate.renew().unwrap());
        let second = shown();
        assert_ne!(first, second);

        fs::write(folder.join("chain.pem"), "half a cert").unwrap();
        assert!(certificate.renew().is_err());
        assert_eq!(shown(), second);
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
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

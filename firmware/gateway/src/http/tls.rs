//! Encryption by rustls: a certificate of one's own, or a self-signed one that is made at the first start.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::GatewayError;

/// The longest of both files.
const MOST_BYTES: u64 = 256 << 10;

/// With the pair in these files; where neither is there, one is made. What was made is for `localhost` and this machine's name.
pub(super) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, GatewayError> {
    let bad = |path: &Path, why: String| GatewayError::Certificate { path: path.to_path_buf(), why };
    if !certificate.exists() && !key.exists() {
        make(certificate, key).map_err(|why| bad(certificate, why))?;
    }
    for path in [certificate, key] {
        let long = fs::metadata(path).map_err(|error| bad(path, error.to_string()))?.len() > MOST_BYTES;
        if long {
            return Err(bad(path, format!("it has more than {MOST_BYTES} bytes")));
        }
    }
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| bad(certificate, error.to_string()))?;
    // What is said of a key must not quote it.
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|_| bad(key, "it is no private key in PEM".into()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(certificate, error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, secret)
        .map_err(|error| bad(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn make(certificate: &Path, key: &Path) -> Result<(), String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = host.trim();
    if !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.') {
        names.push(host.to_owned());
        names.push(format!("{host}.local"));
    }
    let made = rcgen::generate_simple_self_signed(names).map_err(|error| error.to_string())?;
    let write = |path: &Path, text: &str, mode: u32| -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    let written =
        write(key, &made.signing_key.serialize_pem(), 0o600).and_then(|()| write(certificate, &made.cert.pem(), 0o644));
    written.map_err(|error| format!("a self-signed one cannot be written ({error})"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_pair_is_made_once_and_kept_and_a_wrong_one_is_refused_without_quoting_it() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        acceptor(&certificate, &key).expect("one is made");
        let made = fs::read(&certificate).expect("it was written");
        assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
        acceptor(&certificate, &key).expect("it is used again");
        assert_eq!(fs::read(&certificate).expect("there"), made);
        fs::write(&key, "s3cret").expect("writable");
        let said = acceptor(&certificate, &key).err().expect("no key").to_string();
        assert!(said.contains("no private key") && !said.contains("s3cret"), "{said}");
        fs::remove_file(&certificate).expect("ours");
        assert!(acceptor(&certificate, &key).is_err(), "half a pair is not replaced");
    }
}

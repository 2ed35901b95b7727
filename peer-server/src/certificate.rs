//! The certificate that engines see: the operator's own, or a self-signed one that stays the same over restarts.

use crate::PeerError;
use rayloom_transport::tls::{ServerTls, self_signed};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Certificate and key of the peer's own making, in the cache folder.
const FILE: &str = "tls.pem";

/// The operator's certificate chain and key, PEM files.
///
/// # Errors
/// [`PeerError::Certificate`] names the file and what is wrong with it.
pub fn own_certificate(chain: &Path, key: &Path) -> Result<ServerTls, PeerError> {
    let read = |path: &Path| fs::read(path).map_err(|error| unusable(path, error));
    ServerTls::from_pem(&read(chain)?, &read(key)?).map_err(|error| unusable(chain, error))
}

/// The file of the certificate that [`kept_certificate`] keeps in the folder; it may not be there yet.
pub fn kept_certificate_file(folder: &Path) -> PathBuf {
    folder.join(FILE)
}

/// The self-signed certificate that is kept in the folder, made there the first time; without a folder a new one each time.
///
/// # Errors
/// [`PeerError::Certificate`] names the file and what is wrong with it.
pub fn kept_certificate(folder: Option<&Path>) -> Result<ServerTls, PeerError> {
    let Some(folder) = folder else {
        let pem = self_signed().map_err(|error| unusable(Path::new(FILE), error))?;
        return ServerTls::from_pem(pem.as_bytes(), pem.as_bytes()).map_err(|error| unusable(Path::new(FILE), error));
    };
    let path = kept_certificate_file(folder);
    let failed = |error| unusable(&path, error);
    if !path.exists() {
        let pem = self_signed().map_err(|error| unusable(&path, error))?;
        fs::create_dir_all(folder).and_then(|()| keep(&path, &pem)).map_err(failed)?;
    }
    let pem = fs::read(&path).map_err(failed)?;
    ServerTls::from_pem(&pem, &pem).map_err(|error| unusable(&path, error))
}

/// Written aside and linked: whoever reads finds a whole file, and of peers that start at a time all use the first's.
fn keep(path: &Path, pem: &str) -> io::Result<()> {
    let aside = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    // An earlier process of the same number may have been killed right here.
    let _ = fs::remove_file(&aside);
    options.open(&aside)?.write_all(pem.as_bytes())?;
    match fs::hard_link(&aside, path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => fs::rename(&aside, path),
        _ => fs::remove_file(&aside),
    }
}

fn unusable(path: &Path, reason: impl std::fmt::Display) -> PeerError {
    PeerError::Certificate { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Removed when dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("rayloom-certificate-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_made_certificate_stays_and_is_its_owner_s_alone() {
        let folder = Folder::new("kept");
        let first = kept_certificate(Some(&folder.0)).unwrap().pin();
        assert_eq!(kept_certificate(Some(&folder.0)).unwrap().pin(), first);
        assert_ne!(kept_certificate(None).unwrap().pin(), first);
        let files: Vec<_> = fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap()).collect();
        assert_eq!(files.len(), 1, "nothing is left aside: {files:?}");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&files[0].metadata().unwrap().permissions()) & 0o777, 0o600);
        // The operator's own are read the same way, also from one file.
        assert_eq!(own_certificate(&files[0].path(), &files[0].path()).unwrap().pin(), first);
    }

    #[test]
    fn peers_that_start_at_a_time_have_one_certificate() {
        let folder = Folder::new("race");
        fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join(FILE);
        keep(&path, &self_signed().unwrap()).unwrap();
        let first = kept_certificate(Some(&folder.0)).unwrap().pin();
        // The second had found nothing there a moment ago.
        keep(&path, &self_signed().unwrap()).unwrap();
        assert_eq!(kept_certificate(Some(&folder.0)).unwrap().pin(), first);
    }

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let folder = Folder::new("bad");
        fs::create_dir_all(&folder.0).unwrap();
        let path = folder.0.join(FILE);
        fs::write(&path, "not PEM").unwrap();
        let missing = folder.0.join("missing.pem");
        for error in [kept_certificate(Some(&folder.0)).unwrap_err(), own_certificate(&path, &path).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains(FILE) && text.contains("no certificate"), "{text}");
        }
        assert!(own_certificate(&missing, &path).unwrap_err().to_string().contains("missing.pem"));
    }
}

//! Fields that many sections have: URLs, durations, secrets.

use std::{path::Path, str::FromStr, time::Duration};

use secrecy::SecretString;
use url::Url;

use super::Problems;

/// Readers that note what is wrong and give `None`.
pub(super) trait Fields {
    /// An http(s) base URL with a host, without query, fragment or userinfo; required.
    fn base_url(&mut self, path: &str, raw: Option<&str>) -> Option<Url>;
    /// Anything with `FromStr`; `expected` finishes the sentence "is not …".
    fn parsed<T: FromStr>(&mut self, path: &str, raw: &str, expected: &str) -> Option<T>;
    /// `120s`, `15m`, between the bounds; the default if absent or wrong.
    fn duration(
        &mut self,
        path: &str,
        raw: Option<&str>,
        default: Duration,
        bounds: (Duration, Duration),
    ) -> Duration;
    /// `x` or `x_file`, exactly one of them; required.
    fn secret(
        &mut self,
        path: &str,
        inline: Option<String>,
        file: Option<&str>,
        directory: &Path,
    ) -> Option<SecretString>;
    /// A file to be read as it is, relative to the config file.
    fn file(&mut self, path: &str, file: &str, directory: &Path) -> Option<Vec<u8>>;
}

impl Fields for Problems {
    fn base_url(&mut self, path: &str, raw: Option<&str>) -> Option<Url> {
        const EXAMPLE: &str = "an absolute URL such as https://matrix.ac.cdl";
        let Some(raw) = raw else {
            self.missing(path, EXAMPLE);
            return None;
        };
        let url: Url = self.parsed(path, raw, EXAMPLE)?;
        let mut is_good = true;
        let mut refuse = |is_bad: bool, message: &str| {
            if is_bad {
                self.error(path, message);
                is_good = false;
            }
        };
        refuse(!matches!(url.scheme(), "https" | "http"), "must be an https (or http) URL");
        refuse(url.host_str().is_none(), "must have a host");
        refuse(
            !url.username().is_empty() || url.password().is_some(),
            "must not contain a user name or password",
        );
        refuse(url.query().is_some() || url.fragment().is_some(), "must have no `?` or `#` part");
        is_good.then_some(url)
    }

    fn parsed<T: FromStr>(&mut self, path: &str, raw: &str, expected: &str) -> Option<T> {
        raw.parse().map_err(|_| self.error(path, format!("is not {expected}"))).ok()
    }

    fn duration(
        &mut self,
        path: &str,
        raw: Option<&str>,
        default: Duration,
        bounds: (Duration, Duration),
    ) -> Duration {
        let Some(raw) = raw else { return default };
        match humantime::parse_duration(raw) {
            Ok(duration) if duration >= bounds.0 && duration <= bounds.1 => duration,
            Ok(_) => {
                let (least, most) =
                    (humantime::format_duration(bounds.0), humantime::format_duration(bounds.1));
                self.error(path, format!("must be between {least} and {most}"));
                default
            }
            Err(_) => {
                self.error(path, "is not a duration; give a number and a unit, such as 120s or 15m");
                default
            }
        }
    }

    fn secret(
        &mut self,
        path: &str,
        inline: Option<String>,
        file: Option<&str>,
        directory: &Path,
    ) -> Option<SecretString> {
        let (secret, remedy) = match (inline, file) {
            (Some(_), Some(_)) => {
                self.error(path, format!("is given twice; keep `{path}` or `{path}_file`, not both"));
                return None;
            }
            (None, None) => {
                self.missing(
                    path,
                    &format!("the secret itself, or better `{path}_file`, the path of a file with it"),
                );
                return None;
            }
            (Some(inline), None) => {
                (inline, (path.to_owned(), "is empty; make a secret with `usher secret`"))
            }
            (None, Some(file)) => {
                let path = format!("{path}_file");
                let bytes = self.file(&path, file, directory)?;
                if is_readable_by_all(&directory.join(file)) {
                    self.warn(&path, "names a file that everybody on this machine can read; chmod o-r it");
                }
                let Ok(text) = String::from_utf8(bytes) else {
                    self.error(path, "names a file that is not text");
                    return None;
                };
                (text, (path, "names a file that is empty; write the secret into it"))
            }
        };
        let secret = secret.trim();
        if secret.is_empty() {
            self.error(remedy.0, remedy.1);
            return None;
        }
        Some(SecretString::from(secret.to_owned()))
    }

    fn file(&mut self, path: &str, file: &str, directory: &Path) -> Option<Vec<u8>> {
        let file = directory.join(file);
        std::fs::read(&file)
            .map_err(|error| self.error(path, format!("cannot be read: {}: {error}", file.display())))
            .ok()
    }
}

/// Only Unix says so in a file's mode.
fn is_readable_by_all(file: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

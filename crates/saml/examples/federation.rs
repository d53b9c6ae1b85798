//! Writes the metadata of a federation as large as they come (45 MB, 11,500 entities, signed), and the certificate of who signed it, for
//! `cargo xtask bench saml`.
//!
//! `cargo run --release --package usher-saml --features fuzzing --example federation -- DIRECTORY`

use std::{fs, path::PathBuf};

use anyhow::Context as _;
use usher_lab::scripted::saml::{
    SamlKey, Signing,
    federation::{Issue, aggregate, strangers},
};

const ENTITIES: usize = 11_500;

fn main() -> anyhow::Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).context("name a directory")?);
    let key = SamlKey::rsa(2048)?;
    let members = strangers(ENTITIES, &key.certificate_base64()?);
    let metadata = aggregate(&members, &Issue::signed_with(Signing::with(&key)))?;
    fs::write(directory.join("federation.pem"), key.certificate_pem()?)?;
    fs::write(directory.join("federation.xml"), metadata)?;
    Ok(())
}

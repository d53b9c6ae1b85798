//! `usher secret`

use data_encoding::HEXLOWER;
use usher_core::Entropy as _;

use crate::clock::OsEntropy;

#[expect(clippy::unnecessary_wraps, reason = "a command like the others")]
pub(super) fn run() -> anyhow::Result<()> {
    let mut secret = [0_u8; 32];
    OsEntropy.fill(&mut secret);
    println!("{}", HEXLOWER.encode(&secret));
    Ok(())
}

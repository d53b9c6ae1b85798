//! `usher secret`

use data_encoding::HEXLOWER;
use usher_core::Entropy as _;

use super::print;
use crate::clock::OsEntropy;

pub(super) fn run() -> anyhow::Result<()> {
    let mut secret = [0_u8; 32];
    OsEntropy.fill(&mut secret);
    print(&format!("{}\n", HEXLOWER.encode(&secret)))
}

//! Login tokens: issued when a person is proven, redeemed once by their client for a session on their
//! homeserver (`m.login.token`, client-server API v1.19).

mod issue;
mod redeem;

pub use issue::{Issue, issue, new_token};
pub(crate) use issue::{claims_to_be_ours, spend_keys};
pub use redeem::{LoggedIn, RedeemError, TokenLogin, redeem};

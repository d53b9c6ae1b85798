//! OpenID Connect relying party: sends a browser to an OpenID Provider and verifies what it brings back.
//!
//! - OpenID Connect Core 1.0 (<https://openid.net/specs/openid-connect-core-1_0.html>): the code flow alone, 3.1
//! - OpenID Connect Discovery 1.0 (<https://openid.net/specs/openid-connect-discovery-1_0.html>)
//! - OAuth 2.0 (RFC 6749, RFC 6750) with PKCE (RFC 7636), pushed authorization requests (RFC 9126), issuer identification
//!   (RFC 9207), form post, and the security best current practice (RFC 9700)
//! - OpenID Connect Back-Channel Logout 1.0 (<https://openid.net/specs/openid-connect-backchannel-1_0.html>)
//! - JSON Web Signature, Key, Algorithms and Token (RFC 7515, RFC 7517, RFC 7518, RFC 7519, RFC 8037, RFC 8725)
//!
//! Not here: implicit and hybrid flows (tokens in addresses), encrypted tokens, request objects, dynamic registration,
//! refresh tokens (a login is over when the person is known), and front-channel logout (browsers no longer send the
//! cookies it needs).

mod answer;
mod backend;
mod cached;
mod calls;
mod claims;
mod client_auth;
mod config;
mod discovery;
mod exchange;
mod groups;
mod id_token;
mod jws;
mod keys;
mod logout_token;
mod provider;
mod pushed;
mod request;
mod said;
mod sign_out;
mod signing_key;
mod state;
mod userinfo;
mod verifier;

pub use backend::backend;

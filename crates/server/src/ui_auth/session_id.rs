//! Session ids, and the handles of their pages.
//!
//! A session id is a bearer value of the client's, so it is in no address but the one that the specification puts it in
//! (`…/fallback/web?session=`), and in the database as a hash only. The portal's page is named by a handle that is made
//! from the id and does not lead back to it.

use data_encoding::BASE64URL_NOPAD;
use sha2::{Digest as _, Sha256};
use usher_core::{Entropy, Handle};

use crate::{
    attempt::{KeyRing, MARKED_BYTES},
    config::HomeserverConfig,
};

/// Sessions of ours start with it: at a homeserver's own host they are told apart from the homeserver's.
const PREFIX: &str = "ushu_";
/// What the key ring marks session ids for.
const CONTEXT: &[u8] = b"UI-auth session";
/// What makes a handle another hash than the one in the database.
const HANDLE: &[u8] = b"handle of a UI-auth session's page\0";

/// A new session id: 192 random bits, and the ring's mark on them.
pub(super) fn new_session_id(keyring: &KeyRing, entropy: &dyn Entropy) -> String {
    format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&keyring.mark(CONTEXT, entropy)))
}

/// Whether `session` says that it is ours; anybody can say so.
pub(crate) fn claims_to_be_ours(session: &str) -> bool {
    session.starts_with(PREFIX)
}

/// Whether `session` was made by [`new_session_id`]: what was not is refused before the database is asked.
pub(super) fn is_ours(keyring: &KeyRing, session: &str) -> bool {
    let decoded = session.strip_prefix(PREFIX).and_then(|rest| BASE64URL_NOPAD.decode(rest.as_bytes()).ok());
    let marked: Option<[u8; MARKED_BYTES]> = decoded.and_then(|bytes| bytes.try_into().ok());
    marked.is_some_and(|marked| keyring.is_marked(&marked, CONTEXT))
}

/// The handle of a session's page.
pub(super) fn handle_of(session: &str) -> Handle {
    let digest = Sha256::new().chain_update(HANDLE).chain_update(session).finalize();
    Handle::parse(BASE64URL_NOPAD.encode(&digest[..16])).expect("16 bytes in base64url")
}

/// Where a session's page is, at the portal.
pub(crate) fn page_path(handle: &Handle) -> String {
    format!("/_usher/ui-auth/{}", handle.as_str())
}

/// In the address of a session's page: what was confirmed is to be stopped.
pub(crate) const STOP_PARAMETER: &str = "stop";

/// Where what was confirmed can be stopped, at the portal.
pub(crate) fn stop_path(handle: &Handle) -> String {
    format!("{}?{STOP_PARAMETER}", page_path(handle))
}

/// Where the browser goes once the person has proven themselves: the homeserver's own host, whose message clients wait for.
pub(crate) fn completion_url(homeserver: &HomeserverConfig, handle: &Handle) -> String {
    let HomeserverConfig { base_url, .. } = homeserver;
    format!(
        "{base_url}/_matrix/client/v3/auth/m.login.sso/fallback/web?{}={}",
        super::page::HANDLE_PARAMETER,
        handle.as_str()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::OsEntropy, config::KeyConfig, config::KeySecret};

    #[test]
    fn a_session_id_is_known_by_its_mark_and_leads_to_one_handle() {
        let ring = |byte| KeyRing::new(&[KeyConfig { id: "a".to_owned(), secret: KeySecret([byte; 32]) }]);
        let (own, other) = (ring(1), ring(2));
        let session = new_session_id(&own, &OsEntropy);
        assert!(is_ours(&own, &session) && !is_ours(&other, &session));
        for garbage in ["", "ushu_", "ushu_AAAA", &session[5..], &format!("{session}A")] {
            assert!(!is_ours(&own, garbage), "{garbage}");
        }
        assert_eq!(handle_of(&session), handle_of(&session));
        assert_ne!(handle_of(&session), handle_of(&new_session_id(&own, &OsEntropy)));
        assert!(!session.contains(handle_of(&session).as_str()));
    }
}

//! The cookies of attempts: one each, so that several tabs can sign in at once, and bounded, so that twenty
//! abandoned attempts do not overflow a request's header.

use std::time::Duration;

use usher_core::{
    Handle, ProviderId,
    provider::{Origin, ReturnTrip},
};

use super::keepsake::Occasion;

/// `__Host-` (RFC 6265bis section 4.1.3): set by this very host, over a secure connection, for all paths.
const PREFIX: &str = "__Host-usher-";
/// Of the cookie that remembers where somebody said they were from, for each provider that asks. Not an attempt's prefix.
const ORIGIN_PREFIX: &str = "__Host-usherfrom-";
/// For how long: whoever signs in again has it prolonged. Browsers keep no cookie longer (RFC 6265bis section 4.1.2.2).
const ORIGIN_MAX_AGE: Duration = Duration::from_hours(400 * 24);
/// Browsers drop a cookie over 4,096 bytes, name and attributes included.
pub(super) const MAX_COOKIE_BYTES: usize = 3500;
/// All of ours together, well under the 8 KiB that servers and proxies allow a header line.
const MAX_JAR_BYTES: usize = 6 * 1024;

/// The attempts' cookies that a browser sent, in its order: browsers send the oldest first (RFC 6265 section 5.4).
#[derive(Clone, Debug, Default)]
pub struct Jar {
    cookies: Vec<(Handle, String)>,
    origins: Vec<(ProviderId, Origin)>,
    keepsakes: Vec<(ProviderId, Occasion, String)>,
}

/// One `Set-Cookie`, of an attempt's cookie or of the one that remembers where somebody is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SetCookie {
    /// Keep it.
    Keep {
        /// Whose.
        handle: Handle,
        /// Its sealed value.
        value: String,
        /// For how long.
        max_age: Duration,
        /// With which requests it is sent.
        same_site: SameSite,
    },
    /// Forget it.
    Drop(Handle),
    /// Remember where the person said they were from, for a provider; or forget it.
    Origin(ProviderId, Option<Origin>),
    /// Keep what a provider wants kept, sealed; or forget it.
    Keepsake(ProviderId, Occasion, Option<String>),
}

impl Occasion {
    const ALL: [Self; 2] = [Self::Session, Self::Departure];

    /// Not an attempt's prefix.
    fn prefix(self) -> &'static str {
        match self {
            Self::Session => "__Host-ushersession-",
            Self::Departure => "__Host-usherdeparture-",
        }
    }

    /// No longer than sessions at providers last, and than somebody is away to sign out.
    fn max_age(self) -> Duration {
        match self {
            Self::Session => Duration::from_hours(24),
            Self::Departure => Duration::from_mins(15),
        }
    }

    /// The answer may come as a form of the provider's.
    fn same_site(self) -> &'static str {
        match self {
            Self::Session => "Lax",
            Self::Departure => "None",
        }
    }
}

/// With which cross-site requests a cookie is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SameSite {
    /// Top-level navigations.
    Lax,
    /// All, as a cross-site form post needs.
    None,
}

impl From<ReturnTrip> for SameSite {
    fn from(trip: ReturnTrip) -> Self {
        match trip {
            ReturnTrip::Navigation => Self::Lax,
            ReturnTrip::CrossSitePost => Self::None,
        }
    }
}

pub(super) fn cookie_name(handle: &Handle) -> String {
    format!("{PREFIX}{handle}")
}

impl Jar {
    /// Reads `Cookie` headers (RFC 6265 section 4.2.1); what is not ours is not looked at.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let mut jar = Self::default();
        let pairs = headers.into_iter().flat_map(|header| header.split(';'));
        for (name, value) in pairs.filter_map(|pair| pair.trim().split_once('=')) {
            if let Some(Ok(handle)) = name.strip_prefix(PREFIX).map(Handle::parse) {
                jar.cookies.push((handle, value.to_owned()));
            } else if let Some(Ok(provider)) = name.strip_prefix(ORIGIN_PREFIX).map(ProviderId::parse)
                && let Some(origin) = Origin::parse(value)
            {
                jar.origins.push((provider, origin));
            } else if let Some((occasion, Ok(provider))) = Occasion::ALL.into_iter().find_map(|occasion| {
                Some((occasion, ProviderId::parse(name.strip_prefix(occasion.prefix())?)))
            }) {
                jar.keepsakes.push((provider, occasion, value.to_owned()));
            }
        }
        jar
    }

    /// Where the person said they were from when they last signed in by that provider.
    #[must_use]
    pub fn origin(&self, provider: &ProviderId) -> Option<&Origin> {
        self.origins.iter().find(|(of, _)| of == provider).map(|(_, origin)| origin)
    }

    /// What a provider had this browser keep, sealed. One that came twice is none of ours: browsers keep one.
    #[must_use]
    pub(super) fn keepsake(&self, provider: &ProviderId, occasion: Occasion) -> Option<&str> {
        let mut own = self.keepsakes.iter().filter(|(of, when, _)| of == provider && *when == occasion);
        let (_, _, value) = own.next()?;
        own.next().is_none().then_some(value)
    }

    /// The value of an attempt's cookie. A name that came twice is no cookie of ours: browsers keep one.
    #[must_use]
    pub fn get(&self, handle: &Handle) -> Option<&str> {
        let mut values =
            self.cookies.iter().filter(|(name, _)| name == handle).map(|(_, value)| value.as_str());
        let first = values.next()?;
        values.next().is_none().then_some(first)
    }

    /// Which cookies must go, oldest first, so that one of `new_bytes` for `own` fits. What `own` has now is replaced.
    #[must_use]
    pub(super) fn make_room(&self, own: &Handle, new_bytes: usize) -> Vec<Handle> {
        let size = |(handle, value): &(Handle, String)| cookie_name(handle).len() + value.len() + "=; ".len();
        let others = || self.cookies.iter().filter(|(handle, _)| handle != own);
        // Those stay: they are one or two for a provider.
        let lasting = self.keepsakes.iter().map(|(provider, occasion, value)| {
            occasion.prefix().len() + provider.as_str().len() + value.len() + "=; ".len()
        });
        let mut total = new_bytes + others().map(size).sum::<usize>() + lasting.sum::<usize>();
        let mut dropped = Vec::new();
        for cookie in others() {
            if total <= MAX_JAR_BYTES {
                break;
            }
            total -= size(cookie);
            dropped.push(cookie.0.clone());
        }
        dropped
    }
}

impl SetCookie {
    /// The header's value.
    #[must_use]
    pub fn header(&self) -> String {
        match self {
            Self::Keep { handle, value, max_age, same_site } => {
                let same_site = match same_site {
                    SameSite::Lax => "Lax",
                    SameSite::None => "None",
                };
                let (name, max_age) = (cookie_name(handle), max_age.as_secs());
                format!("{name}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite={same_site}")
            }
            Self::Drop(handle) => {
                format!("{}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax", cookie_name(handle))
            }
            Self::Origin(provider, origin) => {
                let (value, max_age) = match origin {
                    Some(origin) => (origin.as_str(), ORIGIN_MAX_AGE.as_secs()),
                    None => ("", 0),
                };
                format!(
                    "{ORIGIN_PREFIX}{provider}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite=Lax"
                )
            }
            Self::Keepsake(provider, occasion, value) => {
                let (prefix, same_site) = (occasion.prefix(), occasion.same_site());
                let max_age = value.as_ref().map_or(0, |_| occasion.max_age().as_secs());
                let value = value.as_deref().unwrap_or_default();
                format!(
                    "{prefix}{provider}={value}; Path=/; Max-Age={max_age}; Secure; HttpOnly; SameSite={same_site}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::OsEntropy;

    #[test]
    fn only_cookies_of_attempts_are_read_and_none_that_came_twice() {
        let [a, b] = [(); 2].map(|()| Handle::generate(&OsEntropy));
        let header = format!(
            "x=1; {PREFIX}{a}=one; {PREFIX}{b}=two; {PREFIX}{b}=three; {PREFIX}short=4; __Host-other=5"
        );
        let jar = Jar::parse([header.as_str()]);
        assert_eq!(jar.get(&a), Some("one"));
        assert_eq!(jar.get(&b), None, "repeated");
        assert_eq!(jar.cookies.len(), 3);
    }

    #[test]
    fn where_somebody_is_from_is_remembered_for_each_provider() {
        let id = |id| ProviderId::parse(id).expect("an id");
        let word = |word| Origin::parse(word).expect("a word");
        let jar = Jar::parse(["__Host-usherfrom-sso=abc; __Host-usherfrom-other=a b; __Host-usher-from-x=y"]);
        assert_eq!(jar.origin(&id("sso")), Some(&word("abc")));
        assert_eq!((jar.origin(&id("other")), jar.origin(&id("x"))), (None, None));
        let kept = SetCookie::Origin(id("sso"), Some(word("abc"))).header();
        assert_eq!(
            kept,
            "__Host-usherfrom-sso=abc; Path=/; Max-Age=34560000; Secure; HttpOnly; SameSite=Lax"
        );
        let dropped = SetCookie::Origin(id("sso"), None).header();
        assert_eq!(dropped, "__Host-usherfrom-sso=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn keepsakes_are_one_for_each_provider_and_occasion() {
        let id = |id| ProviderId::parse(id).expect("an id");
        let jar = Jar::parse([
            "__Host-ushersession-a=1; __Host-usherdeparture-a=2; __Host-ushersession-b=3; __Host-ushersession-b=4",
        ]);
        assert_eq!(jar.keepsake(&id("a"), Occasion::Session), Some("1"));
        assert_eq!(jar.keepsake(&id("a"), Occasion::Departure), Some("2"));
        assert_eq!(
            (jar.keepsake(&id("b"), Occasion::Session), jar.keepsake(&id("c"), Occasion::Session)),
            (None, None)
        );
        assert_eq!(jar.cookies.len(), 0, "none of them is an attempt");
        let header = |occasion, value: Option<&str>| {
            SetCookie::Keepsake(id("a"), occasion, value.map(str::to_owned)).header()
        };
        assert_eq!(
            header(Occasion::Departure, Some("x")),
            "__Host-usherdeparture-a=x; Path=/; Max-Age=900; Secure; HttpOnly; SameSite=None"
        );
        assert_eq!(
            header(Occasion::Session, None),
            "__Host-ushersession-a=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Lax"
        );
    }

    #[test]
    fn the_oldest_make_room_for_a_new_one() {
        let handles: Vec<_> = (0..20).map(|_| Handle::generate(&OsEntropy)).collect();
        let header = handles
            .iter()
            .map(|handle| format!("{}={}", cookie_name(handle), "v".repeat(1000)))
            .collect::<Vec<_>>()
            .join("; ");
        let jar = Jar::parse([header.as_str()]);
        let dropped = jar.make_room(&Handle::generate(&OsEntropy), 1000);
        assert_eq!(dropped, handles[..16], "the sixteen oldest of twenty: four and the new one fit in 6 KiB");
        assert!(Jar::default().make_room(&handles[0], MAX_COOKIE_BYTES).is_empty());
    }

    #[test]
    fn keepsakes_stay_and_attempts_make_room_for_them() {
        let handles: Vec<_> = (0..4).map(|_| Handle::generate(&OsEntropy)).collect();
        let attempts = handles.iter().map(|handle| format!("{}={}", cookie_name(handle), "v".repeat(1100)));
        let header = attempts.collect::<Vec<_>>().join("; ");
        let new = Handle::generate(&OsEntropy);
        assert!(Jar::parse([header.as_str()]).make_room(&new, 1100).is_empty());
        let header = format!("{header}; __Host-ushersession-a={}", "v".repeat(1100));
        assert_eq!(Jar::parse([header.as_str()]).make_room(&new, 1100), handles[..1]);
    }

    #[test]
    fn a_cookie_that_is_replaced_needs_no_room_beside_the_new_one() {
        let [older, own] = [(); 2].map(|()| Handle::generate(&OsEntropy));
        let value = "v".repeat(2500);
        let header = format!("{}={value}; {}={value}", cookie_name(&older), cookie_name(&own));
        let jar = Jar::parse([header.as_str()]);
        assert!(jar.make_room(&own, 3000).is_empty());
        assert_eq!(jar.make_room(&Handle::generate(&OsEntropy), 3000), [older], "one more");
    }
}

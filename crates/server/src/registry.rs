//! The backends of this build, one line each.

use std::{path::Path, sync::Arc};

use usher_core::Backend;
use usher_http::Outgoing;

/// What reads a federation's metadata: `usher` itself, whose file is `program`.
#[cfg(feature = "saml")]
pub(crate) fn federation_reader(program: &Path) -> usher_saml::Reader {
    usher_saml::Reader::new(program.to_owned(), &["saml", "read-federation"])
}

/// Registered backends, by kind.
#[derive(Clone, Debug, Default)]
pub struct Backends(Vec<Arc<dyn Backend>>);

impl Backends {
    /// All that were compiled in. `program` is `usher` itself, which some of them start for what would take much of a process that
    /// serves people.
    #[must_use]
    #[cfg_attr(
        not(all(feature = "saml", any(feature = "cas", feature = "oidc"))),
        expect(unused_variables, reason = "a build may have no backend that needs it")
    )]
    pub fn compiled_in(http: &Outgoing, program: &Path) -> Self {
        let backends = Self::default();
        #[cfg(feature = "cas")]
        let backends = backends.with(usher_cas::backend(http.clone()));
        #[cfg(feature = "oidc")]
        let backends = backends.with(usher_oidc::backend(http.clone()));
        #[cfg(feature = "saml")]
        let backends = backends.with(usher_saml::backend(federation_reader(program)));
        backends
    }

    /// These and one more.
    #[must_use]
    pub fn with(mut self, backend: impl Backend + 'static) -> Self {
        self.0.push(Arc::new(backend));
        self
    }

    /// The backend of that kind.
    #[must_use]
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Backend>> {
        self.0.iter().find(|backend| backend.kind() == kind)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &dyn Backend> {
        self.0.iter().map(AsRef::as_ref)
    }

    /// Their kinds.
    pub fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|backend| backend.kind())
    }
}

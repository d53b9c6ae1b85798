//! What somebody is told who cannot be shown out.

use actix_web::http::StatusCode;

use super::{Loudness, log, provider};
use crate::{http::PageProblem, sign_out::SignOutError};

impl From<&SignOutError> for PageProblem {
    fn from(error: &SignOutError) -> Self {
        let (loudness, problem) = match error {
            SignOutError::NotOffered => {
                (Loudness::Debug, Self::new(StatusCode::NOT_FOUND, "sign-out-not-offered"))
            }
            SignOutError::Csrf => (Loudness::Warn, Self::retry(StatusCode::FORBIDDEN, "ui-auth-form")),
            SignOutError::Limited(limited) => return Self::from(*limited),
            SignOutError::Provider(cause) => return provider(cause, error),
        };
        log(loudness, error);
        problem
    }
}

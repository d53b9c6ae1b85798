//! The answer that the browser brings (OpenID Connect Core 3.1.2.5 and 3.1.2.6, RFC 9207): a code, or why there is none.

use usher_core::{
    Callback, ProviderError,
    provider::{Method, ParameterError, Parameters},
};

use crate::{
    config::{ResponseMode, Settings},
    said::Said,
};

/// RFC 6749 appendix A.11 bounds no code; no provider comes near.
const MAX_CODE_BYTES: usize = 8192;

/// A callback with a code.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) code: Code<'a>,
}

/// A code: whoever has it and the browser's cookie signs in.
pub(crate) struct Code<'a>(pub(crate) &'a str);

/// Why an answer is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error(transparent)]
    Parameter(#[from] ParameterError),
    #[error("answers come by another method")]
    Method,
    #[error("the code is empty, too long, or not printable")]
    BadCode,
    #[error("`iss` names {0:?}, another provider")]
    AnotherIssuer(Said),
    #[error("`iss` is missing, and this provider always says it")]
    NoIssuer,
    #[error("the provider says {0}")]
    Error(Said),
}

/// The parameters of an answer: in the query or in the form, as the request wanted it, and nowhere else.
pub(crate) fn parameters(callback: &Callback, mode: ResponseMode) -> Result<&Parameters, ProviderError> {
    match (mode, callback.method) {
        (ResponseMode::Query, Method::Get) => Ok(&callback.query),
        (ResponseMode::FormPost, Method::Post) => Ok(&callback.form),
        (ResponseMode::Query, Method::Post) | (ResponseMode::FormPost, Method::Get) => {
            Err(ProviderError::malformed(NoAnswer::Method))
        }
    }
}

/// Reads an answer whose `state` was found to be the attempt's. `names_issuer`: whether this provider always says who it is.
pub(crate) fn read<'a>(
    parameters: &'a Parameters,
    settings: &Settings,
    names_issuer: bool,
) -> Result<Answer<'a>, ProviderError> {
    let at_most_one =
        |name| parameters.at_most_one(name).map_err(|error| ProviderError::malformed(NoAnswer::from(error)));
    // RFC 9207 section 2.4: before anything else is done with the answer, an error included.
    let issuer = at_most_one("iss")?;
    if let Some(other) = issuer.filter(|issuer| *issuer != settings.issuer.as_str()) {
        return Err(ProviderError::unverified(NoAnswer::AnotherIssuer(Said::name(other))));
    }
    // "clients MUST reject authorization responses without the iss parameter from authorization servers which do support the
    // parameter according to the client's configuration".
    if names_issuer && issuer.is_none() {
        return Err(ProviderError::unverified(NoAnswer::NoIssuer));
    }
    if let Some(code) = at_most_one("error")? {
        return Err(refusal(code, at_most_one("error_description")?));
    }
    let code = parameters.one("code").map_err(|error| ProviderError::malformed(NoAnswer::from(error)))?;
    // RFC 6749 appendix A.11: VSCHAR.
    let is_good = !code.is_empty()
        && code.len() <= MAX_CODE_BYTES
        && code.bytes().all(|byte| (0x20..=0x7E).contains(&byte));
    if !is_good {
        return Err(ProviderError::malformed(NoAnswer::BadCode));
    }
    Ok(Answer { code: Code(code) })
}

/// RFC 6749 section 4.1.2.1, OpenID Connect Core 3.1.2.6: who can do something about it.
fn refusal(code: &str, description: Option<&str>) -> ProviderError {
    let said = match description {
        Some(description) => Said::new(&format!("{code}: {description}")),
        None => Said::new(code),
    };
    let cause = NoAnswer::Error(said);
    match code {
        "server_error" | "temporarily_unavailable" => ProviderError::unavailable(cause),
        "invalid_request"
        | "unauthorized_client"
        | "unsupported_response_type"
        | "invalid_scope"
        | "invalid_request_uri"
        | "invalid_request_object"
        | "request_not_supported"
        | "request_uri_not_supported"
        | "registration_not_supported" => ProviderError::Internal(cause.into()),
        // `access_denied`, the `…_required` ones, `unmet_authentication_requirements`, and what a provider has of its own:
        // the person was there, and was not let in.
        _ => ProviderError::Refused(cause.into()),
    }
}

impl std::fmt::Debug for Code<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Code(..)")
    }
}

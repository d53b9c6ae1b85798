//! HTML answers.

use std::time::Duration;

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder,
    http::{
        StatusCode,
        header::{self, HeaderValue},
    },
};
use usher_core::provider::BrowserStep;

use super::{json::whole_seconds, locale, request_id};
use crate::{
    app::App,
    attempt::SetCookie,
    gateway::AtHomeserver,
    pages::{Page, SignOutLink, Styles, completion_hash, has_logos},
};

/// What a person is told about a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PageProblem {
    /// The HTTP status.
    pub status: StatusCode,
    /// The message's id in the locales.
    pub id: &'static str,
    /// A name the text mentions; empty if it mentions none.
    pub name: String,
    /// Whether starting again can help.
    pub can_retry: bool,
    /// Whether it helps to sign out at the provider first.
    pub can_sign_out: bool,
    /// Where that is done.
    pub sign_out: Option<SignOutLink>,
    /// `Retry-After`.
    pub retry_after: Option<Duration>,
}

impl PageProblem {
    /// A problem that a new start does not mend.
    #[must_use]
    pub(crate) fn new(status: StatusCode, id: &'static str) -> Self {
        Self {
            status,
            id,
            name: String::new(),
            can_retry: false,
            can_sign_out: false,
            sign_out: None,
            retry_after: None,
        }
    }

    /// A problem that a new start may mend.
    #[must_use]
    pub(crate) fn retry(status: StatusCode, id: &'static str) -> Self {
        Self { can_retry: true, ..Self::new(status, id) }
    }

    /// A problem that is mended by signing out at the provider.
    #[must_use]
    pub(crate) fn or_sign_out(self) -> Self {
        Self { can_sign_out: true, ..self }
    }

    /// Not before that time.
    #[must_use]
    pub(crate) fn after(self, retry_after: Duration) -> Self {
        Self { retry_after: Some(retry_after), ..self }
    }

    /// About something with a name.
    #[must_use]
    pub(crate) fn about(self, name: impl Into<String>) -> Self {
        Self { name: name.into(), ..self }
    }
}

/// A page. `form_action` are the sources that its forms, and the redirects after them, may go to.
pub(crate) fn page(
    app: &App,
    request: &HttpRequest,
    status: StatusCode,
    content: &Page<'_>,
    form_action: &[String],
    cookies: &[SetCookie],
) -> HttpResponse {
    let script = match content {
        Page::PostForm { nonce, .. } => format!("script-src 'nonce-{nonce}'; "),
        Page::UiAuthComplete { .. } => format!("script-src 'sha256-{}'; ", completion_hash()),
        Page::Picker { .. }
        | Page::Organisations { .. }
        | Page::Chooser { .. }
        | Page::Confirm { .. }
        | Page::UiAuth { .. }
        | Page::UiAuthConfirmed { .. }
        | Page::UiAuthDenied { .. }
        | Page::SignOut { .. }
        | Page::SignedOut
        | Page::Onward { .. }
        | Page::Error { .. } => String::new(),
    };
    // At a homeserver's host the reverse proxy hands us a few paths, and the style sheet's is none of them.
    let is_at_portal = !request.extensions().contains::<AtHomeserver>();
    let (styles, style_source) = if is_at_portal {
        (Styles::Here, "'self'".to_owned())
    } else {
        (Styles::AtPortal, app.config.public_base_url.origin().ascii_serialization())
    };
    // Logos of organisations lie anywhere; browsers tell their hosts nothing but that somebody looks.
    let images = match content {
        Page::Organisations { page } if has_logos(page) => "img-src https: data:; ",
        _ => "",
    };
    let form_action = if form_action.is_empty() { "'none'".to_owned() } else { form_action.join(" ") };
    let frames = match content {
        Page::PostForm { framed_by: Some(origin), .. } => origin,
        _ => "'none'",
    };
    let policy = format!(
        "default-src 'none'; style-src {style_source}; {script}{images}form-action {form_action}; base-uri 'none'; frame-ancestors {frames}"
    );
    let mut response = HttpResponse::build(status);
    set_cookies(&mut response, cookies);
    if frames == "'none'" {
        response.insert_header((header::X_FRAME_OPTIONS, "DENY"));
    }
    response
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_SECURITY_POLICY, policy))
        .insert_header((header::REFERRER_POLICY, "same-origin"))
        .insert_header((header::VARY, "Accept-Language"))
        .content_type("text/html; charset=utf-8")
        .body(app.pages.render(content, locale(request), styles))
}

/// An error page. `again` is where to start again, shown if that can help.
pub(crate) fn problem_page(
    app: &App,
    request: &HttpRequest,
    problem: &PageProblem,
    again: Option<&str>,
) -> HttpResponse {
    let request_id = request_id(request);
    let again = again.filter(|_| problem.can_retry);
    let content = Page::Error {
        id: problem.id,
        name: &problem.name,
        again,
        sign_out: problem.sign_out.as_ref(),
        request_id: &request_id,
    };
    let mut response = page(app, request, problem.status, &content, &[], &[]);
    if let Some(retry_after) = problem.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(retry_after));
    }
    response
}

/// The browser's next step at a provider.
pub(crate) fn step(
    app: &App,
    request: &HttpRequest,
    step: &BrowserStep,
    cookies: &[SetCookie],
) -> HttpResponse {
    match step {
        BrowserStep::Redirect(url) => redirect(StatusCode::FOUND, url.as_str(), cookies),
        BrowserStep::PostForm { action, fields } => {
            let nonce = app.entropy.base64url::<16>();
            let content = Page::PostForm { action: action.as_str(), fields, nonce: &nonce, framed_by: None };
            let origin = action.origin().ascii_serialization();
            page(app, request, StatusCode::OK, &content, &[origin], cookies)
        }
        // What is chosen is a link: a form could not be answered with a redirect to one of thousands of sites.
        BrowserStep::Ask(organisations) => {
            let content = Page::Organisations { page: organisations };
            page(app, request, StatusCode::OK, &content, &["'self'".to_owned()], cookies)
        }
    }
}

/// The next step of a browser that the provider may have sent here in a frame, as single logout is done (SAML profiles 4.4.3
/// knows many services, and one browser). A form may stand in a frame of the site that it goes to and of no other: whoever
/// was tricked into its button would send that site what it asked for.
pub(crate) fn framed_step(app: &App, request: &HttpRequest, step: &BrowserStep) -> HttpResponse {
    match step {
        BrowserStep::PostForm { action, fields } => {
            let nonce = app.entropy.base64url::<16>();
            let origin = action.origin().ascii_serialization();
            let content =
                Page::PostForm { action: action.as_str(), fields, nonce: &nonce, framed_by: Some(&origin) };
            page(app, request, StatusCode::OK, &content, std::slice::from_ref(&origin), &[])
        }
        BrowserStep::Redirect(_) | BrowserStep::Ask(_) => self::step(app, request, step, &[]),
    }
}

/// A redirect; `location` was validated when it was made.
pub(crate) fn redirect(status: StatusCode, location: &str, cookies: &[SetCookie]) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    set_cookies(&mut response, cookies);
    // From bytes: a client's own UTF-8 goes back as it came. A control character would be refused here.
    match HeaderValue::from_bytes(location.as_bytes()) {
        Ok(location) => response
            .insert_header((header::LOCATION, location))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .finish(),
        Err(_) => HttpResponse::InternalServerError().finish(),
    }
}

fn set_cookies(response: &mut HttpResponseBuilder, cookies: &[SetCookie]) {
    for cookie in cookies {
        response.append_header((header::SET_COOKIE, cookie.header()));
    }
}

//! A request that is not ours: on to the homeserver and back, untouched.
//!
//! Method, path, query and body are passed on as received, headers but for those of the connection and those that say
//! where a request came from (`headers`). The answer is not touched either: the homeserver says itself what a
//! browser may do with it.

use actix_web::{
    HttpResponse,
    body::BodySize,
    dev::Payload,
    http::{
        Method, StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::Bytes,
};
use usher_http::{Passed, Passing, Relay, RelayError, RequestBody, header};

use super::{
    At,
    body::{AnswerStream, Length, Pump, stream},
    headers,
};
use crate::{
    app::App,
    http::{Hangup, MatrixError, arrival},
};

/// In an answer's extensions: it is the homeserver's, and is not to be touched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PassedThrough;

/// A request's body, as far as it has been read.
pub(super) enum Inbound {
    /// Not at all.
    Streamed(Payload),
    /// To its end.
    Whole(Bytes),
    /// These parts; the rest is yet to come.
    Begun(Vec<Bytes>, Payload),
}

/// Why a request did not pass through, or its answer did not come back.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PassError {
    /// On the way to the homeserver.
    #[error("the request did not pass through to the homeserver")]
    Relay(#[from] RelayError),
    /// The client has gone; nobody reads this.
    #[error("the client went away")]
    HungUp,
    /// 101, which nobody has asked for.
    #[error("the homeserver changed the protocol")]
    Upgraded,
}

/// Passes `request` through.
pub(super) async fn pass(at: &At<'_>, inbound: Inbound) -> HttpResponse {
    match exchange(at, inbound).await {
        Ok(response) => response,
        Err(error) => MatrixError::from(&error).response(),
    }
}

async fn exchange(at: &At<'_>, inbound: Inbound) -> Result<HttpResponse, PassError> {
    let At { app, homeserver, relay, request } = *at;
    let (body, mut pump) = match inbound {
        Inbound::Whole(bytes) => (RequestBody::whole(bytes), None),
        Inbound::Streamed(payload) => stream(Length::of(request.headers()), Vec::new(), payload),
        Inbound::Begun(begun, payload) => stream(Length::of(request.headers()), begun, payload),
    };
    let passing = Passing {
        method: method(request.method()),
        path_and_query: request.uri().path_and_query().map_or("/", |target| target.as_str()).to_owned(),
        headers: headers::of_request(request.headers(), &arrival(request), homeserver.config.scheme()),
        body,
    };
    let passed = until_answered(app, relay.clone(), passing, &mut pump, &Hangup::of(request)).await?;
    if passed.status.as_u16() == 101 {
        return Err(PassError::Upgraded);
    }
    if passed.status.as_u16() == 508 {
        tracing::error!("a request that passed through came back: upstream_url leads to Usher itself");
    }
    Ok(response(passed, request.method() == Method::HEAD, pump))
}

/// The head of the answer. Meanwhile the request's body goes on, and if the client goes away the homeserver is not
/// kept busy for nobody.
async fn until_answered(
    app: &App,
    relay: Relay,
    passing: Passing,
    pump: &mut Option<Pump>,
    hangup: &Hangup,
) -> Result<Passed, PassError> {
    let mut passed = std::pin::pin!(app.run_while_wanted(async move { relay.pass(passing).await }));
    loop {
        let pumped = async {
            match pump.as_mut() {
                Some(pump) => pump.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            outcome = &mut passed => return Ok(outcome?),
            () = pumped => {}
            () = hangup.wait() => return Err(PassError::HungUp),
        }
        *pump = None;
    }
}

fn response(passed: Passed, is_head: bool, pump: Option<Pump>) -> HttpResponse {
    let status = StatusCode::from_u16(passed.status.as_u16()).expect("a status that was received");
    let said =
        passed.headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let length = if is_head { said } else { passed.body.length() };
    let mut response = HttpResponse::build(status);
    for (name, value) in headers::of_answer(&passed.headers) {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(value)) {
            response.append_header((name, value));
        }
    }
    let mut response =
        response.body(AnswerStream::new(passed.body, length.map_or(BodySize::Stream, BodySize::Sized), pump));
    response.extensions_mut().insert(PassedThrough);
    response
}

fn method(method: &Method) -> usher_http::Method {
    usher_http::Method::from_bytes(method.as_str().as_bytes()).expect("a method that was received")
}

//! The conformance suite: what every provider must do, whatever protocol it speaks.
//!
//! A backend implements [`ScriptedUpstream`] in its tests (the provider under test, a browser and an upstream
//! that can lie) and expands [`provider_conformance!`](crate::provider_conformance) once: one named test per
//! claim in [`claims`]. The suite brings no runtime and no I/O; both come from the backend's tests.
//!
//! It does not test what only one protocol has (signatures, proxies, tokens): those are tables beside the code.

mod attempt;
pub mod claims;
mod entropy;
mod upstream;
mod violation;

pub use entropy::SeededEntropy;
pub use upstream::{Death, Guard, Impossible, Parameter, Person, Place, ScriptedUpstream, Twist};
pub use violation::{Claim, Violation};

/// How long one claim may take: far longer than an honest run, far shorter than a call without a deadline.
pub const TIME_LIMIT: std::time::Duration = std::time::Duration::from_mins(1);

/// One `#[tokio::test]` for every claim. `$start` is an `async fn() -> impl ScriptedUpstream`, called afresh for
/// each; the calling crate depends on `tokio` with `macros`, `rt` and `time`.
#[macro_export]
macro_rules! provider_conformance {
    ($start:path) => {
        $crate::provider_conformance! { @tests $start:
            the_person_who_signed_in_is_proven,
            the_callback_names_its_attempt,
            the_state_fits_the_cookie,
            the_state_of_another_attempt_is_refused,
            the_demand_of_another_attempt_is_refused,
            the_callback_of_another_attempt_is_refused,
            a_changed_parameter_is_refused,
            a_repeated_parameter_is_refused,
            a_missing_parameter_is_refused,
            a_parameter_in_the_wrong_place_is_refused,
            an_answer_to_another_audience_is_refused,
            an_error_of_the_provider_has_its_reaction,
            a_refused_connection_is_unavailable,
            a_silent_provider_is_unavailable,
            a_failing_provider_is_unavailable,
            a_provider_that_talks_garbage_is_unavailable,
            an_endless_answer_is_unavailable,
            a_probe_tells_the_living_from_the_dead,
            a_fresh_answer_is_accepted,
            a_stale_answer_is_not_accepted,
            an_unstated_authentication_is_not_accepted,
            the_same_answer_twice_is_refused,
            nothing_secret_is_shown,
            a_person_can_sign_out_where_it_is_offered,
        }
    };
    (@tests $start:path: $($claim:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $claim() {
                let upstream = $start().await;
                let run = $crate::testing::claims::$claim(&upstream);
                match ::tokio::time::timeout($crate::testing::TIME_LIMIT, run).await {
                    Ok(Ok(())) => {}
                    Ok(Err(violation)) => panic!("{violation}"),
                    Err(_) => panic!("not settled within {:?}", $crate::testing::TIME_LIMIT),
                }
            }
        )*
    };
}

#[cfg(test)]
mod tests;

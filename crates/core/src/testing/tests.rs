//! The suite itself can fail: an honest toy keeps every claim, and each flaw breaks the claim made for it.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use self::toy::{Flaw, Toy};
use super::{Claim, ScriptedUpstream, claims};

mod toy;

type Check = fn(&Toy) -> Claim;

/// The toy never waits, so one poll settles it.
fn settle(claim: impl Future<Output = Claim>) -> Claim {
    match pin!(claim).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(kept) => kept,
        Poll::Pending => panic!("the toy never waits"),
    }
}

macro_rules! claims_by_name {
    ($($name:ident),* $(,)?) => {
        fn all(upstream: &dyn ScriptedUpstream) -> Vec<(&'static str, Claim)> {
            vec![$((stringify!($name), settle(claims::$name(upstream)))),*]
        }
    };
}

claims_by_name! {
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
    a_person_can_sign_out_where_it_is_offered,
    the_same_answer_twice_is_refused,
    // It ends with an upstream that is dead.
    nothing_secret_is_shown,
}

#[test]
fn an_honest_provider_keeps_every_claim() {
    for (name, claim) in all(&Toy::new(None)) {
        assert_eq!(claim, Ok(()), "{name}");
    }
    for (name, claim) in [
        ("another audience", settle(claims::an_answer_to_another_audience_is_refused(&Toy::new(None)))),
        ("errors", settle(claims::an_error_of_the_provider_has_its_reaction(&Toy::new(None)))),
        ("garbage", settle(claims::a_provider_that_talks_garbage_is_unavailable(&Toy::new(None)))),
        ("the probe", settle(claims::a_probe_tells_the_living_from_the_dead(&Toy::new(None)))),
        ("fresh", settle(claims::a_fresh_answer_is_accepted(&Toy::new(None)))),
        ("stale", settle(claims::a_stale_answer_is_not_accepted(&Toy::new(None)))),
        ("unstated", settle(claims::an_unstated_authentication_is_not_accepted(&Toy::new(None)))),
    ] {
        assert_eq!(claim, Ok(()), "{name}");
    }
}

#[test]
fn each_flaw_breaks_the_claim_made_for_it() {
    let broken = |flaw, claim: Check| claim(&Toy::new(Some(flaw))).is_err();
    let cases: [(Flaw, Check); 19] = [
        (Flaw::DropsAValue, |toy| settle(claims::the_person_who_signed_in_is_proven(toy))),
        (Flaw::AnotherReturnTrip, |toy| settle(claims::the_callback_names_its_attempt(toy))),
        (Flaw::LongState, |toy| settle(claims::the_state_fits_the_cookie(toy))),
        (Flaw::IgnoresState, |toy| settle(claims::the_state_of_another_attempt_is_refused(toy))),
        (Flaw::IgnoresDemand, |toy| settle(claims::the_demand_of_another_attempt_is_refused(toy))),
        (Flaw::IgnoresHandle, |toy| settle(claims::the_callback_of_another_attempt_is_refused(toy))),
        (Flaw::IgnoresHandle, |toy| settle(claims::a_changed_parameter_is_refused(toy))),
        (Flaw::TakesTheFirst, |toy| settle(claims::a_repeated_parameter_is_refused(toy))),
        (Flaw::TakesTheQuery, |toy| settle(claims::a_parameter_in_the_wrong_place_is_refused(toy))),
        (Flaw::MissingIsAnOutage, |toy| settle(claims::a_missing_parameter_is_refused(toy))),
        (Flaw::IgnoresAudience, |toy| settle(claims::an_answer_to_another_audience_is_refused(toy))),
        (Flaw::ErrorsAreOutages, |toy| settle(claims::an_error_of_the_provider_has_its_reaction(toy))),
        (Flaw::ForgetsWhatItSpent, |toy| settle(claims::the_same_answer_twice_is_refused(toy))),
        (Flaw::AlwaysFresh, |toy| settle(claims::a_stale_answer_is_not_accepted(toy))),
        (Flaw::TellsTheCode, |toy| settle(claims::nothing_secret_is_shown(toy))),
        (Flaw::OffersInVain, |toy| settle(claims::a_person_can_sign_out_where_it_is_offered(toy))),
        (Flaw::AlwaysReturns, |toy| settle(claims::a_person_can_sign_out_where_it_is_offered(toy))),
        (Flaw::SignsOutNowhere, |toy| settle(claims::a_person_can_sign_out_where_it_is_offered(toy))),
        (Flaw::TellsTheSecret, |toy| settle(claims::a_person_can_sign_out_where_it_is_offered(toy))),
    ];
    for (flaw, claim) in cases {
        assert!(broken(flaw, claim), "{flaw:?} is not noticed");
    }
    assert!(broken(Flaw::AlwaysFresh, |toy| settle(claims::an_unstated_authentication_is_not_accepted(toy))));
    assert!(broken(Flaw::ErrorsAreOutages, |toy| settle(claims::a_changed_parameter_is_refused(toy))));
}

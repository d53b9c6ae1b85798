//! The claims, one function each. A claim is kept (`Ok`) or broken, and then tells how.

mod binding;
mod failure;
mod freshness;
mod parameters;
mod proof;
mod secrecy;
mod sign_out;

pub use binding::{
    the_callback_of_another_attempt_is_refused, the_demand_of_another_attempt_is_refused,
    the_same_answer_twice_is_refused, the_state_of_another_attempt_is_refused,
};
pub use failure::{
    a_failing_provider_is_unavailable, a_probe_tells_the_living_from_the_dead,
    a_provider_that_talks_garbage_is_unavailable, a_refused_connection_is_unavailable,
    a_silent_provider_is_unavailable, an_answer_to_another_audience_is_refused,
    an_endless_answer_is_unavailable, an_error_of_the_provider_has_its_reaction,
};
pub use freshness::{
    a_fresh_answer_is_accepted, a_stale_answer_is_not_accepted, an_unstated_authentication_is_not_accepted,
};
pub use parameters::{
    a_changed_parameter_is_refused, a_missing_parameter_is_refused,
    a_parameter_in_the_wrong_place_is_refused, a_repeated_parameter_is_refused,
};
pub use proof::{
    the_callback_names_its_attempt, the_person_who_signed_in_is_proven, the_state_fits_the_cookie,
};
pub use secrecy::nothing_secret_is_shown;
pub use sign_out::a_person_can_sign_out_where_it_is_offered;

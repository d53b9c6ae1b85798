//! A callback counts as it was sent, or not at all.

use super::super::{
    Claim, Guard, Parameter, Place, ScriptedUpstream, Violation,
    attempt::{Attempt, Trial, is_refused},
};
use crate::Outcome;

/// Positions tried in one value: every byte of a short one, evenly spread over a long one.
const MAX_POSITIONS: usize = 48;

/// One changed byte in any meaningful parameter is refused (or, for [`Guard::Meaning`], changes nothing).
pub async fn a_changed_parameter_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    for parameter in upstream.parameters() {
        let length = trial.attempt().await?.value(parameter)?.len();
        for position in (0..length).step_by(length.div_ceil(MAX_POSITIONS).max(1)) {
            // A new attempt each time: what the last one spent must not be why this one is refused.
            let attempt = trial.attempt().await?;
            let Some(changed) = with_changed_byte(&attempt.value(parameter)?, position) else { continue };
            let what = format!("byte {position} of `{}` changed", parameter.name);
            let changed = attempt.with_value(parameter, &changed);
            match parameter.guard {
                Guard::EveryByte => is_refused(&trial.complete(&changed).await, &what)?,
                Guard::Meaning => refused_or_unmoved(&trial, &changed, &what).await?,
            }
        }
    }
    Ok(())
}

/// Each meaningful parameter given twice is refused, be the second one equal or not, first or last. Given once
/// more in the other place, it is refused or not read.
pub async fn a_repeated_parameter_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    for parameter in upstream.parameters() {
        for (how, is_equal, is_first) in
            [("equal, after", true, false), ("other, after", false, false), ("other, before", false, true)]
        {
            let attempt = trial.attempt().await?;
            let value = attempt.value(parameter)?;
            let second = if is_equal { value } else { value.chars().rev().collect() };
            let mut pairs = attempt.pairs(parameter.place);
            let index = if is_first { 0 } else { pairs.len() };
            pairs.insert(index, (parameter.name.to_owned(), second));
            let what = format!("`{}` repeated ({how})", parameter.name);
            is_refused(&trial.complete(&attempt.with_pairs(parameter.place, &pairs)).await, &what)?;
        }
        let attempt = trial.attempt().await?;
        let elsewhere = other(parameter.place);
        let mut pairs = attempt.pairs(elsewhere);
        pairs.push((parameter.name.to_owned(), attempt.value(parameter)?.chars().rev().collect()));
        let what = format!("`{}` repeated in the other place", parameter.name);
        refused_or_unmoved(&trial, &attempt.with_pairs(elsewhere, &pairs), &what).await?;
    }
    Ok(())
}

/// Each meaningful parameter left out, or left empty, is refused.
pub async fn a_missing_parameter_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    for parameter in upstream.parameters() {
        let attempt = trial.attempt().await?;
        let what = format!("`{}` missing", parameter.name);
        is_refused(&trial.complete(&without(&attempt, parameter)).await, &what)?;
        let attempt = trial.attempt().await?;
        let what = format!("`{}` empty", parameter.name);
        is_refused(&trial.complete(&attempt.with_value(parameter, "")).await, &what)?;
    }
    Ok(())
}

/// A parameter of the query does not count in the form, nor the reverse: logs, caches and proxies treat the
/// two differently, and so does the protocol.
pub async fn a_parameter_in_the_wrong_place_is_refused(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    for parameter in upstream.parameters() {
        let attempt = trial.attempt().await?;
        let elsewhere = other(parameter.place);
        let mut pairs = attempt.pairs(elsewhere);
        pairs.push((parameter.name.to_owned(), attempt.value(parameter)?));
        let moved = without(&attempt, parameter).with_pairs(elsewhere, &pairs);
        is_refused(&trial.complete(&moved).await, &format!("`{}` in the wrong place", parameter.name))?;
    }
    Ok(())
}

/// Another byte of ASCII at `position`; `None` where a byte belongs to a longer character.
fn with_changed_byte(value: &str, position: usize) -> Option<String> {
    let mut bytes = value.as_bytes().to_vec();
    let byte = bytes.get_mut(position).filter(|byte| byte.is_ascii())?;
    *byte ^= 1;
    String::from_utf8(bytes).ok()
}

fn without(attempt: &Attempt, parameter: Parameter) -> Attempt {
    let mut pairs = attempt.pairs(parameter.place);
    pairs.retain(|(name, _)| name != parameter.name);
    attempt.with_pairs(parameter.place, &pairs)
}

fn other(place: Place) -> Place {
    match place {
        Place::Query => Place::Form,
        Place::Form => Place::Query,
    }
}

async fn refused_or_unmoved(trial: &Trial<'_>, attempt: &Attempt, what: &str) -> Claim {
    match trial.complete(attempt).await {
        Ok(Outcome::Done(proof)) => {
            let is_unmoved = trial.upstream.person().is(&proof.identity);
            Violation::unless(is_unmoved, || format!("{what}: accepted, and somebody else is proven"))
        }
        answer => is_refused(&answer, what),
    }
}

//! What a log could catch: `Debug` and `Display` of everything that passes through the port.

use std::{error::Error, fmt::Write as _};

use super::super::{
    Claim, Death, Impossible, Place, ScriptedUpstream, Twist, Violation,
    attempt::{Answer, Attempt, Trial},
};
use crate::{Freshness, Outcome};

/// No value of a meaningful parameter, no state, no attribute's value and no other secret shows in provider,
/// challenge, callback, proof or any error with its whole chain of sources.
pub async fn nothing_secret_is_shown(upstream: &dyn ScriptedUpstream) -> Claim {
    let trial = Trial::new(upstream);
    let demand = trial.demand(Freshness::AnySession);
    let challenge = trial.begin(&demand).await?;
    let callback = upstream.browse(&challenge.step).await;
    let shown = format!("{challenge:?} {callback:?}");
    let attempt = Attempt { demand, state: challenge.state, callback };
    hides(upstream, &attempt, "challenge or callback", &shown)?;
    hides(upstream, &attempt, "the provider", &format!("{:?}", trial.provider))?;
    let answer = trial.complete(&attempt).await;
    hides(upstream, &attempt, "the proof", &show(&answer))?;
    let answer = trial.complete(&attempt).await;
    hides(upstream, &attempt, "the answer to a replay", &show(&answer))?;
    damaged_answers(&trial).await?;
    lies(&trial).await
}

async fn lies(trial: &Trial<'_>) -> Claim {
    let upstream = trial.upstream;
    let errors = upstream.errors().into_iter().map(|(name, _)| Twist::Error(name));
    let deaths = [Death::Failing, Death::Garbage, Death::Endless, Death::Silent, Death::ConnectionRefused];
    for twist in [Twist::WrongAudience].into_iter().chain(errors).chain(deaths.map(Twist::Dead)) {
        if let Err(Impossible(why)) = upstream.twist(Twist::Honest).await {
            return Err(Violation::new(format!("it cannot be honest again: {why}")));
        }
        // An attempt of a provider that is about to die begins while it still lives.
        let before = trial.attempt().await?;
        if upstream.twist(twist).await.is_err() {
            continue;
        }
        let attempt = if matches!(twist, Twist::Dead(_)) { before } else { trial.attempt().await? };
        hides(upstream, &attempt, &format!("{twist:?}"), &show(&trial.complete(&attempt).await))?;
    }
    Ok(())
}

async fn damaged_answers(trial: &Trial<'_>) -> Claim {
    for parameter in trial.upstream.parameters() {
        let attempt = trial.attempt().await?;
        let value = attempt.value(parameter)?;
        let mut pairs = attempt.pairs(parameter.place);
        pairs.push((parameter.name.to_owned(), value.clone()));
        let repeated = attempt.with_pairs(parameter.place, &pairs);
        hides(trial.upstream, &repeated, "a repeated parameter", &show(&trial.complete(&repeated).await))?;
        for (name, damaged) in [
            (
                "shortened",
                value[..value.len() - value.chars().next_back().map_or(0, char::len_utf8)].to_owned(),
            ),
            ("lengthened", format!("{value}A")),
            ("with a line break", format!("{value}\n")),
            ("tenfold", value.repeat(10)),
        ] {
            let damaged = attempt.with_value(parameter, &damaged);
            let shown = show(&trial.complete(&damaged).await);
            hides(trial.upstream, &damaged, name, &shown)?;
            hides(trial.upstream, &attempt, name, &shown)?;
        }
    }
    Ok(())
}

/// Everything that a log could say of an answer.
fn show(answer: &Answer) -> String {
    let error = match answer {
        Ok(Outcome::Done(proof)) => return format!("{proof:?}"),
        Ok(Outcome::Continue(challenge) | Outcome::From(_, challenge)) => return format!("{challenge:?}"),
        Err(error) => error,
    };
    let mut shown = String::new();
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        write!(shown, "{error} {error:?} ").expect("writing to a string cannot fail");
        next = error.source();
    }
    shown
}

fn hides(upstream: &dyn ScriptedUpstream, attempt: &Attempt, what: &str, shown: &str) -> Claim {
    let state = attempt.state.as_str().to_owned();
    let attributes = upstream.person().attributes.into_values().flatten();
    // The handle travels in the open and names the attempt in logs.
    let values = upstream.parameters().into_iter().flat_map(|parameter| {
        [Place::Query, Place::Form].into_iter().flat_map(move |place| {
            let pairs = attempt.pairs(place).into_iter();
            pairs.filter(move |(name, _)| name == parameter.name).map(|(_, value)| value)
        })
    });
    let secrets = upstream.secrets().into_iter().chain([state]).chain(attributes).chain(values);
    for secret in secrets.filter(|secret| !secret.is_empty() && secret != attempt.demand.handle.as_str()) {
        Violation::unless(!shown.contains(&secret), || {
            format!("{what} shows a secret that begins with {:?}", secret.chars().take(6).collect::<String>())
        })?;
    }
    Ok(())
}

//! A response, from what a browser brings to the person that it proves somebody to be.
//!
//! The first byte says who made it: `B`, anybody, who has seen what the identity provider signed about Alice; `E`, the same,
//! and the text is what is encrypted in the response; `S`, the identity provider, which signs the text as it is; `C`, the
//! same, and the text is encrypted in what it signs.
#![no_main]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use usher_saml::fuzzing;
use usher_saml_fuzz::{compare, guard, mutate, seeds, world};

fuzz_target!(init: { seeds::sow(seeds::response); guard::set_up(); }, |data: &[u8]| {
    let Some((who, message)) = data.split_first() else { return };
    let text = std::str::from_utf8(message);
    match (who, text) {
        (b'B', _) => is_alice_or_nobody(message),
        (b'E', Ok(text)) => {
            is_alice_or_nobody(world::encrypted_by_anybody(text).expect("a response").as_bytes());
        }
        // Whoever signs does not have xmlsec do what the gate would not let it do.
        (b'S', Ok(text)) if fuzzing::pass(text).0 => {
            let Some(signed) = world::sign_anew(text) else { return };
            let names = compare::texts(&signed, "Response/Assertion/Subject/NameID");
            is_named(&signed, &names);
        }
        (b'C', Ok(text)) => {
            let names = compare::texts_within(text, "Assertion/Subject/NameID");
            is_named(&world::encrypted_and_signed(text).expect("a response"), &names);
        }
        _ => {}
    }
});

/// Nobody but the identity provider can say who somebody is, and it has spoken of nobody but Alice.
fn is_alice_or_nobody(response: &[u8]) {
    if let Ok(person) = guard::watch(|| world::prove(response)) {
        assert!(world::was_asserted(&person), "{person:?}");
    }
}

/// It can say anything, but libxml2 must have read the same.
fn is_named(response: &str, names: &[String]) {
    if let Ok(person) = guard::watch(|| world::prove(response.as_bytes())) {
        assert_eq!(names, [person.subject.as_str()]);
        assert!(person.subject.trim() == person.subject && !person.subject.contains(char::is_control));
    }
}

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, 1)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross(one, other, out, seed, 1)
});

//! Metadata: whether what is read of it is an identity provider that can be used, and whether those of a federation are found again.
#![no_main]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use usher_saml::fuzzing;
use usher_saml_fuzz::{guard, mutate, seeds, world::ENTITY};

fuzz_target!(init: { seeds::sow(seeds::metadata); guard::set_up(); }, |data: &[u8]| {
    for wanted in [None, Some(ENTITY)] {
        let Some(read) = guard::watch(|| fuzzing::read_metadata(data, wanted, "ac.cdl")) else { continue };
        assert!(wanted.is_none_or(|wanted| wanted == read.entity_id), "another one");
        assert!(read.keys > 0, "no keys");
        assert!(!read.places.is_empty(), "no place to go to");
        assert!(read.places.iter().all(|place| place.starts_with("http")), "a place that is none");
    }
    // As a federation's, by way of an index.
    let _ = fuzzing::read_federation(data, "ac cdl");
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, 0)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross(one, other, out, seed, 0)
});

//! A text, as it comes out of base64: whether it passes the gate, and if it does, whether libxml2 sees the same in it.
#![no_main]

use libfuzzer_sys::{fuzz_crossover, fuzz_mutator, fuzz_target};
use usher_saml::fuzzing;
use usher_saml_fuzz::{compare, guard, mutate, seeds};

fuzz_target!(init: { seeds::sow(seeds::gate); guard::set_up(); }, |data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (response, assertion) = guard::watch(|| fuzzing::pass(text));
    assert!(!(response && assertion), "it is both");
    if response || assertion {
        for markup in ["<!", "<?"] {
            let at_begin = usize::from(markup == "<?" && text.starts_with("<?xml"));
            assert_eq!(text.matches(markup).count(), at_begin, "{markup} has passed");
        }
        guard::watch(|| compare::same(text));
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    mutate::mutate(data, size, max_size, seed, 0)
});

fuzz_crossover!(|one: &[u8], other: &[u8], out: &mut [u8], seed: u32| {
    mutate::cross(one, other, out, seed, 0)
});

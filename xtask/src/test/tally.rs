//! The results of many test binaries in one line. The lines counted are libtest's:
//! `test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s`.

use std::fmt;

/// How many tests passed and did not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    binaries: usize,
    passed: usize,
    failed: usize,
    ignored: usize,
    /// What failed without being a test.
    others: Vec<String>,
}

impl Tally {
    /// Counts what a line of output says.
    pub(super) fn read(&mut self, line: &str) {
        let Some(result) = line.trim().strip_prefix("test result: ") else { return };
        let count = |what: &str| -> usize {
            let words: Vec<&str> = result.split([' ', ';']).filter(|word| !word.is_empty()).collect();
            let number = words.windows(2).find(|pair| pair[1] == what).and_then(|pair| pair[0].parse().ok());
            number.unwrap_or(0)
        };
        self.binaries += 1;
        self.passed += count("passed");
        self.failed += count("failed");
        self.ignored += count("ignored");
    }

    /// Cargo has ended. What did not compile, crashed or was killed has no result line.
    pub(super) fn end(&mut self, is_success: bool) {
        if !is_success && self.failed == 0 {
            self.others.push("cargo test failed, though no test says so".to_owned());
        }
        if is_success && self.passed == 0 {
            self.others.push("no test was run".to_owned());
        }
    }

    /// Something that is no test has failed.
    pub(super) fn add_failure(&mut self, what: &str) {
        self.others.push(format!("{what} failed"));
    }

    /// Whether everything ran and passed.
    pub(super) fn is_good(&self) -> bool {
        self.passed > 0 && self.all_failed() == 0
    }

    /// What the last line adds up.
    pub(super) fn explanation(&self) -> String {
        let mut text = format!("{} test binaries", self.binaries);
        let ignored = format!("{} ignored, which counts as failed", self.ignored);
        for failure in (self.ignored > 0).then_some(&ignored).into_iter().chain(&self.others) {
            text.push_str("; ");
            text.push_str(failure);
        }
        text
    }

    fn all_failed(&self) -> usize {
        self.failed + self.ignored + self.others.len()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.all_failed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OK: &str =
        "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 2 filtered out; finished in 0.10s";
    const FAILED: &str =
        "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 9.99s";
    const IGNORED: &str =
        "test result: ok. 1 passed; 0 failed; 4 ignored; 0 measured; 0 filtered out; finished in 0.00s";

    #[test]
    fn results_add_up_and_only_a_clean_run_is_good() {
        for (name, lines, cargo_succeeded, expected, is_good) in [
            ("one binary", &[OK][..], true, "5 passed, 0 failed", true),
            ("two binaries and other lines", &[OK, "running 3 tests", OK], true, "10 passed, 0 failed", true),
            ("a failure", &[OK, FAILED], false, "8 passed, 2 failed", false),
            ("ignored tests are failures", &[IGNORED], true, "1 passed, 4 failed", false),
            ("nothing at all", &[], true, "0 passed, 1 failed", false),
            ("it did not compile", &[], false, "0 passed, 1 failed", false),
            ("a binary crashed", &[OK], false, "5 passed, 1 failed", false),
            (
                "a test that prints about results",
                &["the test result: 9 passed"],
                true,
                "0 passed, 1 failed",
                false,
            ),
        ] {
            let mut tally = Tally::default();
            for line in lines {
                tally.read(line);
            }
            tally.end(cargo_succeeded);
            assert_eq!(tally.to_string(), expected, "{name}");
            assert_eq!(tally.is_good(), is_good, "{name}");
        }
    }

    #[test]
    fn what_is_no_test_can_only_fail() {
        let mut tally = Tally::default();
        tally.read(OK);
        tally.add_failure("a build");
        assert_eq!((tally.to_string().as_str(), tally.is_good()), ("5 passed, 1 failed", false));
    }
}

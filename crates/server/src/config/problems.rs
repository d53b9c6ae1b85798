//! What is wrong with a config, all of it at once.

use std::fmt;

/// One thing that is wrong or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Whether Usher starts all the same.
    pub severity: Severity,
    /// The key path, such as `homeservers[0].handoff.application_service.as_token`.
    pub path: String,
    /// What is wrong and what would be right. Never a secret's value.
    pub message: String,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Usher does not start.
    Error,
    /// Usher starts; somebody should look.
    Warning,
}

/// Problems in the order they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    found: Vec<Problem>,
    /// Paths of what could not be read at all, with everything below.
    unread: Vec<String>,
}

impl Problems {
    /// Something that must be mended before Usher starts.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Error, path.into(), message.into());
    }

    /// Likewise, of a value that cannot be read: what it contains is not missing besides.
    pub(super) fn unread(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        self.unread.push(path.clone());
        self.error(path, message);
    }

    /// Something that is allowed and probably not meant.
    pub fn warn(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add(Severity::Warning, path.into(), message.into());
    }

    /// A key that must be there. Says nothing if the key was there and wrong: that was already said.
    pub fn missing(&mut self, path: &str, example: &str) {
        let is_within = |outer: &String| {
            path.strip_prefix(outer.as_str())
                .is_some_and(|rest| outer.is_empty() || rest.is_empty() || rest.starts_with(['.', '[']))
        };
        let is_said = self.found.iter().any(|problem| problem.path == path);
        if !is_said && !self.unread.iter().any(is_within) {
            self.error(path, format!("is missing; give {example}"));
        }
    }

    /// Whether anything keeps Usher from starting.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.found.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// All of them, in the order they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    fn add(&mut self, severity: Severity, path: String, message: String) {
        self.found.push(Problem { severity, path, message });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.found {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let path = if problem.path.is_empty() { "(top level)" } else { &problem.path };
            writeln!(f, "{severity}: {path}: {}", problem.message)?;
        }
        Ok(())
    }
}

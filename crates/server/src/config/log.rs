//! `log`: what is logged, and how.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

use super::Problems;

/// What the web server says of its threads, and of what strangers send that is no HTTP, is of no use to an operator.
const DEFAULT_FILTER: &str = "info,actix_server=warn,actix_http=off";

/// What is logged, and how.
#[derive(Clone, Debug)]
pub struct LogConfig {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// Which events, in the syntax of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// Lines for people or for machines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One readable line an event.
    #[default]
    Text,
    /// One JSON object an event.
    Json,
}

#[derive(Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// `text` or `json`. Default: `text`.
    format: LogFormat,
    /// Which events, such as `info` or `usher_server=debug,info`. Default: `info`, and of the
    /// libraries only what is wrong.
    filter: Option<String>,
}

impl RawLog {
    pub(super) fn validate(self, problems: &mut Problems) -> LogConfig {
        let filter = self.filter.unwrap_or_else(|| DEFAULT_FILTER.to_owned());
        if let Err(error) = EnvFilter::try_new(&filter) {
            problems.error("log.filter", format!("is not a filter ({error}); give a level such as info"));
        }
        LogConfig { format: self.format, filter }
    }
}

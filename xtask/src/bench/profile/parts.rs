//! To which part of the program a sample belongs: to the innermost frame that names one.

use std::io::BufRead;

/// What belongs to no part.
const REST: &str = "the rest";

/// Parts and what the names of their functions begin with or contain. Within a frame the first that fits counts, so
/// what is special stands before what is general.
const PARTS: [(&str, &[&str]); 13] = [
    ("sealing and opening the attempt, hashes", &["chacha20", "poly1305", "sha2::", "KeyRing"]),
    ("XML and JSON", &["roxmltree", "serde_json", "usher_cas::response"]),
    ("log lines and spans", &["tracing", "sharded_slab", "matchers::"]),
    (
        "SQLite itself: pages, write-ahead log, locks",
        &["sqlite3", "unixRead", "unixWrite", "pager", "walFrames"],
    ),
    ("connection pool, statement timeouts", &["sqlx_core::pool", "usher_store"]),
    ("database driver: protocol, or channel to its thread", &["sqlx_", "futures_intrusive", "flume"]),
    ("outgoing HTTP: two calls", &["reqwest", "hyper", "usher_http", "tower"]),
    ("finding the route", &["actix_router", "regex"]),
    ("incoming HTTP: sockets, parsing, middleware", &["actix_http", "actix_server", "actix_web", "httparse"]),
    (
        "waiting: epoll, going to sleep and waking",
        &["mio::", "epoll_wait", "::park", "Unparker", "tokio::runtime::io", "wake_by", "notify_parked"],
    ),
    ("the rest of Usher", &["usher", "url::", "percent_encoding", "form_urlencoded"]),
    ("the runtime", &["tokio", "futures_util", "actix_rt", "futures_core"]),
    (REST, &[]),
];

/// Samples, counted by part.
#[derive(Debug, Default)]
pub(super) struct Parts {
    counts: [u32; PARTS.len()],
}

impl Parts {
    /// What `perf script -F ip,sym` prints: a line a frame, the innermost first; an empty line after each sample.
    pub(super) fn read(script: impl BufRead) -> std::io::Result<Self> {
        let mut parts = Self::default();
        let (mut part, mut is_in_sample) = (None, false);
        for line in script.split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            if line.trim().is_empty() {
                if is_in_sample {
                    parts.add(part);
                }
                (part, is_in_sample) = (None, false);
                continue;
            }
            is_in_sample = true;
            part = part.or_else(|| part_of(line.trim()));
        }
        if is_in_sample {
            parts.add(part);
        }
        Ok(parts)
    }

    fn add(&mut self, part: Option<usize>) {
        self.counts[part.unwrap_or(PARTS.len() - 1)] += 1;
    }

    /// Each part's share of all samples, in a fixed order; `None` without samples.
    pub(super) fn shares(&self) -> Option<Vec<(&'static str, f64)>> {
        let all: u32 = self.counts.iter().sum();
        let share = |count: &u32| f64::from(*count) / f64::from(all);
        (all > 0)
            .then(|| PARTS.iter().zip(&self.counts).map(|((name, _), count)| (*name, share(count))).collect())
    }
}

fn part_of(frame: &str) -> Option<usize> {
    PARTS.iter().position(|(_, names)| names.iter().any(|name| frame.contains(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_belongs_to_its_innermost_named_part() {
        let script = "\
            ffff tcp_sendmsg\n 7f00 __send\n 5600 sqlx_core::net::socket::write\n 5601 usher_store::people::find\n\n\
            5600 chacha20::xchacha\n 5601 usher_server::attempt::keyring::KeyRing::seal\n\n\
            5600 something_else\n";
        let shares = Parts::read(script.as_bytes()).expect("lines").shares().expect("samples");
        for (name, is_one_of_three) in [
            ("database driver: protocol, or channel to its thread", true),
            ("sealing and opening the attempt, hashes", true),
            (REST, true),
            ("the rest of Usher", false),
        ] {
            let share = shares.iter().find(|(part, _)| *part == name).map_or(0.0, |(_, share)| *share);
            assert_eq!((share - 1.0 / 3.0).abs() < 1e-9, is_one_of_three, "{name}: {share}");
        }
        assert!(Parts::read(&b"\n"[..]).expect("a line").shares().is_none());
    }
}

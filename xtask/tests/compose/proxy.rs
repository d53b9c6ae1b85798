//! Rules about the proxy's config.

use crate::{assert_each_is_named, read};

fn problems(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let position = |start: &str| lines.iter().position(|line| line.starts_with(start));
    let (believed, overwritten) =
        (position("http-request set-src"), position("http-request set-header X-Forwarded-For %[src]"));
    require(overwritten.is_some(), "the client's address is overwritten, never appended");
    require(overwritten.is_none() || believed < overwritten, "the outer proxy is asked first");
    require(
        believed.is_none_or(|line| lines[line].ends_with(r#"if { src "${OUTER_PROXY}" }"#)),
        "only the outer proxy is believed",
    );
    for header in ["X-Forwarded-Host", "X-Forwarded-Proto"] {
        let is_removed = lines.contains(&&*format!("http-request del-header {header}"));
        require(is_removed, &format!("a client's own {header} goes no further"));
    }
    let logged = lines.iter().find(|line| line.starts_with("log-format")).copied().unwrap_or("%r");
    require(!["%r", "%HU", "%HQ"].iter().any(|query| logged.contains(query)), "no query string is logged");
    require(lines.contains(&"retry-on conn-failure"), "only what no Usher has read is sent again");
    require(lines.contains(&"nameserver dns 127.0.0.11:53"), "the engine is asked who the Ushers are");
    let ushers = lines.iter().find(|line| line.starts_with("server-template")).copied().unwrap_or_default();
    require(ushers.contains(" usher:8080 resolvers engine init-addr none"), "replicas come and go");
    require(
        lines.iter().any(|line| line.contains("uri /_usher/health ")),
        "each is asked whether it can serve",
    );
    problems
}

#[test]
fn each_breach_of_the_proxys_config_is_named() {
    assert!(
        read("docker-compose.yml").contains("./deploy/compose/haproxy.cfg"),
        "it is the one that is used"
    );
    assert_each_is_named(
        "deploy/compose/haproxy.cfg",
        problems,
        &[
            ("appended", "http-request set-header X", "http-request add-header X", "overwritten"),
            ("everybody is believed", " if { src \"${OUTER_PROXY}\" }", "", "only the outer proxy"),
            (
                "the wrong order",
                "http-request set-src",
                "http-request set-header X-Forwarded-For %[src]\n    http-request set-src",
                "first",
            ),
            ("a host of its own", "del-header X-Forwarded-Host", "set-var(txn.a) str(b)", "X-Forwarded-Host"),
            (
                "a scheme of its own",
                "del-header X-Forwarded-Proto",
                "set-var(txn.a) str(b)",
                "X-Forwarded-Proto",
            ),
            ("a query", "%HPO", "%HU", "query string"),
            ("twice", "retry-on conn-failure", "retry-on all-retryable-errors", "sent again"),
            ("another resolver", "127.0.0.11:53", "192.0.2.1:53", "who the Ushers are"),
            ("once and for all", "server-template usher- 10", "server usher", "come and go"),
            ("never asked", "uri /_usher/health", "uri /", "can serve"),
        ],
    );
}

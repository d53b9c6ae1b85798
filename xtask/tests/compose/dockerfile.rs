//! Rules about `Dockerfile` and `.dockerignore`.

use std::collections::BTreeMap;

use xtask::workspace;

use crate::{assert_each_is_named, read};

/// One instruction, its continuation lines joined.
#[derive(Debug)]
struct Instruction {
    name: String,
    rest: String,
}

fn instructions(text: &str) -> Vec<Instruction> {
    let lines = text.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let joined = lines.replace("\\\n", " ");
    let instruction = |line: &str| {
        let (name, rest) = line.trim().split_once(char::is_whitespace)?;
        let rest = rest.split_whitespace().collect::<Vec<_>>().join(" ");
        Some(Instruction { name: name.to_owned(), rest })
    };
    joined.lines().filter_map(instruction).collect()
}

/// What stands before the first `FROM`, and each stage from its `FROM` on.
fn stages(text: &str) -> Vec<Vec<Instruction>> {
    let mut stages = vec![Vec::new()];
    for instruction in instructions(text) {
        if instruction.name == "FROM" {
            stages.push(Vec::new());
        }
        stages.last_mut().expect("there is one from the start").push(instruction);
    }
    stages
}

/// The variables that the image sets.
pub(crate) fn environment(text: &str) -> BTreeMap<String, String> {
    let variables = instructions(text).into_iter().filter(|instruction| instruction.name == "ENV");
    variables
        .filter_map(|env| env.rest.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

fn values<'a>(stage: &'a [Instruction], name: &str) -> Vec<&'a str> {
    stage
        .iter()
        .filter(|instruction| instruction.name == name)
        .map(|instruction| &*instruction.rest)
        .collect()
}

/// What the build takes from the repository.
fn copied(stage: &[Instruction]) -> Vec<&str> {
    let copies = values(stage, "COPY").into_iter().filter(|copy| !copy.starts_with("--from="));
    copies.flat_map(|copy| copy.split(' ').rev().skip(1)).collect()
}

fn problems(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let stages = stages(text);
    let [before, build, run] = &stages[..] else { return vec!["there should be two stages".to_owned()] };
    require(!text.lines().any(|line| line.starts_with("# syntax=")), "a syntax line needs a registry");
    let has_mount = instructions(text).iter().any(|instruction| instruction.rest.starts_with("--mount"));
    require(!has_mount, "the classic builder knows no mounts");
    require(values(before, "ARG").contains(&"BUILD_IMAGE=rust:1-bookworm"), "the build image is an argument");
    require(
        values(before, "ARG").contains(&"RUNTIME_IMAGE=debian:bookworm-slim"),
        "the runtime image is an argument",
    );
    require(values(build, "FROM") == ["${BUILD_IMAGE} AS build"], "the first stage is the build image");
    require(values(run, "FROM") == ["${RUNTIME_IMAGE}"], "the second stage is the runtime image");

    let cargo = values(build, "RUN").join(" ");
    require(cargo.contains("cargo build --locked "), "Cargo.lock is what is built");
    require(
        cargo.contains(r#"--no-default-features --features "${FEATURES}""#)
            && values(build, "ARG").contains(&"FEATURES=default"),
        "FEATURES decides which backends are built",
    );
    require(
        cargo.contains(r#"--profile "${PROFILE}""#) && values(build, "ARG").contains(&"PROFILE=release"),
        "PROFILE decides how it is built",
    );
    let has_saml = |stage: &[Instruction], package: &str| {
        let installs = |run: &&str| run.starts_with(r#"case ",${FEATURES}," in *,default,*|*,saml,*)"#);
        let mut runs = values(stage, "RUN").into_iter().filter(installs);
        runs.any(|run| run.contains(&format!("install --yes --no-install-recommends {package}")))
    };
    require(
        has_saml(build, "libxmlsec1-dev")
            && has_saml(run, "libxmlsec1-openssl")
            && values(run, "ARG") == ["FEATURES=default"],
        "what SAML needs is installed where SAML is, and nowhere else",
    );
    require(values(build, "ADD").is_empty() && values(run, "ADD").is_empty(), "ADD unpacks and downloads");
    let copied = copied(build);
    let is_there = |path: &&str| *path != "." && workspace::root().join(path).exists();
    require(copied.iter().all(is_there), "each path that is copied is there, and named");
    require(!copied.contains(&"rust-toolchain.toml"), "rustup would download another toolchain");
    require(
        values(run, "COPY").iter().all(|copy| copy.starts_with("--from=build ")),
        "nothing but what was built is in the image",
    );

    let user = values(run, "USER").last().copied().unwrap_or_default();
    let is_nobody = user.split(':').all(|id| id.parse::<u32>().is_ok_and(|id| id > 0));
    require(is_nobody, "the last USER is a number that is not root's");
    require(values(run, "ENTRYPOINT") == [r#"["usher"]"#], "signals reach Usher itself");
    require(values(run, "CMD") == [r#"["serve"]"#], "it serves unless told otherwise");
    require(values(run, "STOPSIGNAL") == ["SIGTERM"], "it is told to drain");
    let health = values(run, "HEALTHCHECK").join("");
    require(health.ends_with(r#"CMD ["usher", "health"]"#), "the binary itself says whether it is healthy");
    let public =
        [&values(before, "ARG")[..], &values(build, "ARG"), &values(run, "ARG"), &values(run, "ENV")]
            .concat();
    let is_secret =
        |variable: &&str| ["PASSWORD", "SECRET", "TOKEN", "URL"].iter().any(|word| variable.contains(word));
    require(!public.iter().any(is_secret), "an image holds no secret");
    problems
}

#[test]
fn each_breach_of_the_dockerfile_is_named() {
    assert_each_is_named(
        "Dockerfile",
        problems,
        &[
            ("one stage", "FROM ${RUNTIME_IMAGE}", "RUN true", "two stages"),
            ("a syntax line", "ARG BUILD", "# syntax=docker/dockerfile:1\nARG BUILD", "registry"),
            ("a cache mount", "RUN cargo", "RUN --mount=type=cache,target=/x cargo", "classic builder"),
            ("another build image", "rust:1-bookworm", "rust:latest", "build image is an argument"),
            ("another runtime image", "debian:bookworm-slim", "debian", "runtime image is an argument"),
            ("a fixed build image", "FROM ${BUILD_IMAGE}", "FROM rust:1-bookworm", "first stage"),
            ("a fixed runtime image", "FROM ${RUNTIME_IMAGE}", "FROM debian:bookworm-slim", "second stage"),
            ("newer crates", " --locked", "", "Cargo.lock"),
            ("all backends, always", "--no-default-features ", "", "FEATURES"),
            ("an argument that is not declared", "ARG FEATURES=default", "", "FEATURES"),
            ("nothing to build SAML with", "recommends libxmlsec1-dev", "recommends", "what SAML needs"),
            ("nothing to run SAML with", "recommends libxmlsec1-openssl", "recommends", "what SAML needs"),
            ("C libraries for everybody", "*,default,*|*,saml,*)", "*)", "what SAML needs"),
            ("always optimised", "--profile \"${PROFILE}\"", "--release", "PROFILE"),
            ("ADD", "COPY crates", "ADD crates", "ADD"),
            ("a path that is not there", "COPY crates crates", "COPY crate crate", "is there"),
            ("everything", "COPY crates crates", "COPY . .", "is there"),
            ("the toolchain file", "COPY xtask xtask", "COPY rust-toolchain.toml xtask ./", "toolchain"),
            ("a file of the repository", "COPY --from=build /etc", "COPY Cargo.toml /etc", "nothing but"),
            ("root", "USER 10001:10001", "USER 0:0", "USER"),
            ("a name", "USER 10001:10001", "USER usher", "USER"),
            ("no user", "USER 10001:10001", "", "USER"),
            ("a shell between", r#"ENTRYPOINT ["usher"]"#, "ENTRYPOINT usher", "signals"),
            ("no command", r#"CMD ["serve"]"#, "", "serves"),
            ("killed", "STOPSIGNAL SIGTERM", "STOPSIGNAL SIGKILL", "drain"),
            ("no health check", r#"CMD ["usher", "health"]"#, "CMD true", "healthy"),
            ("a secret", "ENV USHER__LISTEN=", "ENV USHER__DATABASE__URL=", "no secret"),
        ],
    );
}

/// What is sent to the engine is what is copied, and nothing else.
fn ignore_problems(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    let mut problems = Vec::new();
    if lines.first() != Some(&"*") {
        problems.push("everything is ignored to begin with".to_owned());
    }
    let mut admitted: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix('!')).collect();
    let stages = stages(&read("Dockerfile"));
    let mut copied: Vec<_> =
        stages.iter().flat_map(|stage| copied(stage)).filter(|path| *path != "./").collect();
    admitted.sort_unstable();
    copied.sort_unstable();
    if admitted != copied {
        problems.push(format!("what is admitted is not what is copied: {admitted:?}, {copied:?}"));
    }
    problems
}

#[test]
fn nothing_is_sent_to_the_engine_but_what_is_copied() {
    assert_each_is_named(
        ".dockerignore",
        ignore_problems,
        &[
            ("a list of what is left out", "\n*\n", "\ntarget\n*\n", "to begin with"),
            ("the site with its secrets", "!crates", "!crates\n!site", "not what is copied"),
            ("a path that is copied", "!crates\n", "", "not what is copied"),
        ],
    );
}

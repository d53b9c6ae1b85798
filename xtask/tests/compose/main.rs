//! `docker-compose.yml`, `Dockerfile` and what they name, read without an engine: `cargo xtask compose` has one.
//!
//! The rules are ours, the syntax is judged by docker-compose and hadolint. Each rule has a broken file that only it
//! objects to, made from the real one by a single change.

mod dockerfile;
mod proxy;
mod services;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context as _, ensure};
use usher_lab::real::{
    Progress,
    install::{self, Component},
};
use xtask::workspace;

/// The text of a file of the repository.
fn read(name: &str) -> String {
    let path = workspace::root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every change breaks one thing, and one problem is named.
fn assert_each_is_named(
    name: &str,
    problems: impl Fn(&str) -> Vec<String>,
    changes: &[(&str, &str, &str, &str)],
) {
    let good = read(name);
    assert_eq!(problems(&good), Vec::<String>::new(), "{name} as it is");
    for (case, from, to, expected) in changes {
        let broken = good.replacen(from, to, 1);
        assert_ne!(broken, good, "{case}: {name} does not contain {from:?}");
        let found = problems(&broken);
        assert!(found.len() == 1 && found[0].contains(expected), "{case}: {found:#?}");
    }
}

async fn linters() -> anyhow::Result<PathBuf> {
    let component = Component::ContainerLinters;
    install::ensure(&[component], &Progress::printing()).await?;
    Ok(component.python()?.with_file_name("hadolint"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn docker_compose_understands_the_file() -> anyhow::Result<()> {
    linters().await?;
    let check = |file: &Path| {
        let mut command = Command::new("docker-compose");
        command.arg("--file").arg(file).args(["config", "--quiet"]).current_dir(workspace::root());
        command.output().context("docker-compose cannot be run")
    };
    let output = check(&workspace::root().join("docker-compose.yml"))?;
    ensure!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
    let directory = tempfile::tempdir()?;
    let broken = directory.path().join("docker-compose.yml");
    fs::write(&broken, read("docker-compose.yml").replace("read_only:", "readonly:"))?;
    ensure!(!check(&broken)?.status.success(), "a key that does not exist is overlooked");
    Ok(())
}

#[tokio::test]
async fn hadolint_has_nothing_to_say_of_the_dockerfile() -> anyhow::Result<()> {
    let hadolint = linters().await?;
    let check = |file: &Path| Command::new(&hadolint).arg(file).output().context("hadolint cannot be run");
    let output = check(&workspace::root().join("Dockerfile"))?;
    ensure!(output.status.success() && text(&output).is_empty(), "{}", text(&output));
    let directory = tempfile::tempdir()?;
    let broken = directory.path().join("Dockerfile");
    fs::write(&broken, read("Dockerfile").replace("USER 10001:10001", "USER root"))?;
    let said = text(&check(&broken)?);
    ensure!(said.contains("DL3002"), "a Dockerfile that ends as root is overlooked: {said}");
    Ok(())
}

/// As the container sees it: `site` at `/etc/usher`, the variables of the image and of the service.
#[tokio::test]
async fn the_example_config_is_good_as_it_stands() -> anyhow::Result<()> {
    let usher = workspace::build_usher(&Progress::silent()).await?;
    let site = tempfile::tempdir()?;
    let script = "umask 077 && mkdir secrets && for name in key-1 eng-as eng-hs hist-as hist-hs; do \
                  \"$USHER\" secret > secrets/$name; done && \
                  echo postgres://usher:secret@postgres/usher > database-url && \"$USHER\" config check";
    let mut command = Command::new("bash");
    command.args(["-euc", script]).current_dir(site.path()).env("USHER", usher);
    fs::write(site.path().join("usher.yaml"), read("deploy/compose/usher.yaml"))?;
    command.envs(dockerfile::environment(&read("Dockerfile")));
    let of_service = services::environment(&read("docker-compose.yml"), "usher");
    let mounted = |(key, value): (String, String)| (key, value.replace("/run/secrets/", ""));
    command.envs(of_service.into_iter().map(mounted));
    let output = command.output()?;
    let said = text(&output);
    ensure!(output.status.success(), "{said}");
    assert_eq!(said, "usher.yaml: ok (1 provider(s), 2 homeserver(s))\n", "no warning either");
    Ok(())
}

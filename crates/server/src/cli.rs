//! The command line. Nothing below reads the environment: what it says is laid over the config once, here.

mod config;
mod health;
mod link;
mod migrate;
mod proxy_config;
mod registration;
#[cfg(feature = "saml")]
mod saml;
mod secret;
mod serve;
mod start;

use std::{
    ffi::OsString,
    io::{ErrorKind, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use ruma_common::OwnedServerName;
use url::Url;

use crate::error::chain;

/// The program that runs, whatever has become of its file since (proc(5)).
const THIS_PROGRAM: &str = "/proc/self/exe";

/// One door to an organisation's Matrix homeservers.
#[derive(Debug, Parser)]
#[command(name = "usher", version)]
struct Arguments {
    /// The config file.
    #[arg(long, short, global = true, default_value = "usher.yaml")]
    config: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the portal until SIGTERM or Ctrl-C.
    Serve {
        /// Do not change the database; refuse to start if it is not up to date.
        #[arg(long)]
        no_migrate: bool,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Write the application service registration that a homeserver needs.
    Registration {
        /// The homeserver's name, as in `homeservers[].server_name`.
        server_name: OwnedServerName,
        /// Write to this file, readable by its owner alone, instead of standard output.
        #[arg(long, short)]
        output: Option<PathBuf>,
    },
    /// Print what a reverse proxy needs to hand Usher what is Usher's, at the homeservers' hosts and the portal's.
    ProxyConfig(proxy_config::Arguments),
    /// What the operators of SAML identity providers need.
    #[cfg(feature = "saml")]
    #[command(subcommand)]
    Saml(saml::SamlCommand),
    /// Look at who has which account, and change it.
    #[command(subcommand)]
    Link(link::LinkCommand),
    /// Bring the database up to date, and nothing else.
    Migrate,
    /// Ask a running Usher whether it can serve a sign-in: the exit code is 0 if it can, 1 if not.
    Health {
        /// Where it listens, such as `http://127.0.0.1:8080`. Without it: the first address in `listen`.
        #[arg(long)]
        url: Option<Url>,
    },
    /// Print a new random secret: 64 hexadecimal digits, for `keys[].secret_file`, `as_token_file`, `hs_token_file`.
    Secret,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Say everything that is wrong with it.
    Check,
    /// Print its JSON schema.
    Schema,
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure; a full disk is.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(error).context("standard output cannot be written")
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Runs the command; the exit code is 0, 1 if it failed, 2 if the arguments are no command.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Fails only if the terminal is gone.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let file = start::ConfigFile::new(arguments.config, environment);
    let result = match arguments.command {
        Command::Serve { no_migrate } => serve::run(&file, no_migrate).await,
        Command::Config(ConfigCommand::Check) => config::check(&file).await,
        Command::Config(ConfigCommand::Schema) => config::schema(),
        Command::Registration { server_name, output } => {
            registration::run(&file, &server_name, output.as_deref()).await
        }
        Command::ProxyConfig(arguments) => proxy_config::run(&file, arguments).await,
        #[cfg(feature = "saml")]
        Command::Saml(command) => saml::run(&file, command).await,
        Command::Link(command) => link::run(&file, command).await,
        Command::Migrate => migrate::run(&file).await,
        Command::Health { url } => health::run(&file, url).await,
        Command::Secret => secret::run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("usher: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

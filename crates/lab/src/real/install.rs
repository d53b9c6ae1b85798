//! Brings the real components onto a machine: Debian packages by name, Python programs into virtual environments and
//! packages of npm into directories under `target/lab` of the workspace.
//!
//! What is there is left alone, so a second call takes milliseconds. Two processes at once are safe: the second waits
//! for the first. No registry is named here; apt, pip and npm use what the machine is set up with.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::Progress;

mod bundle;
mod debian;
mod node;
mod python;

use bundle::Bundle;
use debian::Package;
use node::NodePackage;
use python::Environment;

/// Something real that the lab can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The homeserver, from PyPI.
    Synapse,
    /// django-cas-server, from PyPI.
    CasServer,
    /// The database, from Debian.
    Postgres,
    /// What the documents' commands use besides Usher: `curl`, `openssl` and `sqlite3`, from Debian.
    DocumentTools,
    /// The browser and its driver, from Debian, and a font for what it shows.
    Chromium,
    /// axe-core, which audits pages in the browser, from the npm registry.
    Axe,
    /// An OpenID Provider, from the npm registry.
    OidcProvider,
    /// A SAML identity provider, from Debian, and PHP to serve it.
    SimpleSamlPhp,
    /// A SAML identity provider's library, from PyPI, and `xmlsec1` from Debian, which it signs and encrypts with.
    Pysaml2,
    /// The client library of Element Web, bundled for the browser, from the npm registry.
    MatrixJsSdk,
    /// A clock that is wrong by as much as a test wants, from Debian.
    FakeTime,
    /// What looks at `docker-compose.yml` and `Dockerfile` without an engine: Debian's `docker-compose`, and hadolint
    /// from PyPI.
    ContainerLinters,
    /// A container engine to be started for a proof, and what makes images without a registry, from Debian.
    ContainerEngine,
    /// nginx, Caddy and HAProxy, and `openssl` for their certificates, from Debian.
    ReverseProxies,
    /// What Usher itself is built with where it speaks SAML, from Debian: headers and libraries written in C.
    SamlLibraries,
}

/// What a component needs.
struct Needs {
    packages: &'static [Package],
    environment: Option<&'static Environment>,
    node: Option<NodePackage>,
    bundle: Option<&'static Bundle>,
}

impl Needs {
    const NOTHING: Self = Self { packages: &[], environment: None, node: None, bundle: None };
}

const SYNAPSE: Environment = Environment {
    name: "synapse",
    what: "Synapse",
    requirements: include_str!("../../components/synapse/requirements.txt"),
    about_seconds: 35,
};

const CAS_SERVER: Environment = Environment {
    name: "cas-server",
    what: "django-cas-server",
    requirements: include_str!("../../components/cas_server/requirements.txt"),
    about_seconds: 15,
};

const PYSAML2: Environment = Environment {
    name: "pysaml2",
    what: "pysaml2",
    requirements: include_str!("../../components/pysaml2/requirements.txt"),
    about_seconds: 15,
};

const HADOLINT: Environment = Environment {
    name: "hadolint",
    what: "hadolint",
    requirements: include_str!("../../components/hadolint/requirements.txt"),
    about_seconds: 5,
};

const COMPOSE: [Package; 1] = [Package { name: "docker-compose", about_seconds: 15 }];
const ENGINE: [Package; 4] = [
    Package { name: "docker.io", about_seconds: 25 },
    Package { name: "docker-compose", about_seconds: 15 },
    Package { name: "debootstrap", about_seconds: 3 },
    Package { name: "iproute2", about_seconds: 3 },
];
const DOCUMENT_TOOLS: [Package; 3] = [
    Package { name: "curl", about_seconds: 5 },
    Package { name: "openssl", about_seconds: 3 },
    Package { name: "sqlite3", about_seconds: 5 },
];
const CHROMIUM: [Package; 3] = [
    Package { name: "chromium", about_seconds: 30 },
    Package { name: "chromium-driver", about_seconds: 5 },
    // Without any font there are no letters; this one is wide, so what fits in it fits in others.
    Package { name: "fonts-dejavu-core", about_seconds: 3 },
];
const REVERSE_PROXIES: [Package; 4] = [
    Package { name: "nginx", about_seconds: 4 },
    Package { name: "caddy", about_seconds: 4 },
    Package { name: "haproxy", about_seconds: 3 },
    Package { name: "openssl", about_seconds: 2 },
];
const SIMPLESAMLPHP: [Package; 7] = [
    Package { name: "simplesamlphp", about_seconds: 25 },
    Package { name: "php-cli", about_seconds: 10 },
    Package { name: "php-xml", about_seconds: 5 },
    Package { name: "php-mbstring", about_seconds: 5 },
    Package { name: "php-curl", about_seconds: 3 },
    Package { name: "php-sqlite3", about_seconds: 3 },
    // For its keys.
    Package { name: "openssl", about_seconds: 2 },
];
const XMLSEC1: [Package; 2] =
    [Package { name: "xmlsec1", about_seconds: 3 }, Package { name: "openssl", about_seconds: 2 }];
const FAKE_TIME: Package = Package { name: "libfaketime", about_seconds: 3 };
const AXE: NodePackage = NodePackage { name: "axe-core", version: "4.14.1", about_seconds: 5 };
const OIDC_PROVIDER: NodePackage =
    NodePackage { name: "oidc-provider", version: "9.13.3", about_seconds: 10 };
const MATRIX_JS_SDK: Bundle = Bundle {
    name: "matrix-js-sdk",
    manifest: include_str!("../../components/matrix_js_sdk/package.json"),
    lock: include_str!("../../components/matrix_js_sdk/package-lock.json"),
    entry: "matrix-js-sdk/lib/browser-index.js",
    fetches: &[(
        "@matrix-org/matrix-sdk-crypto-wasm/pkg/matrix_sdk_crypto_wasm_bg.wasm",
        "pkg/matrix_sdk_crypto_wasm_bg.wasm",
    )],
    about_seconds: 10,
};
const POSTGRES: Package = Package { name: "postgresql", about_seconds: 30 };

const SAML_LIBRARIES: [Package; 5] = [
    Package { name: "libxmlsec1-dev", about_seconds: 10 },
    Package { name: "libxml2-dev", about_seconds: 5 },
    Package { name: "libssl-dev", about_seconds: 5 },
    Package { name: "pkg-config", about_seconds: 3 },
    // For bindgen, which reads their headers.
    Package { name: "libclang-dev", about_seconds: 30 },
];

impl Component {
    fn needs(self) -> Needs {
        match self {
            Self::Synapse => Needs { environment: Some(&SYNAPSE), ..Needs::NOTHING },
            Self::CasServer => Needs { environment: Some(&CAS_SERVER), ..Needs::NOTHING },
            Self::Postgres => Needs { packages: &[POSTGRES], ..Needs::NOTHING },
            Self::DocumentTools => Needs { packages: &DOCUMENT_TOOLS, ..Needs::NOTHING },
            Self::Chromium => Needs { packages: &CHROMIUM, ..Needs::NOTHING },
            Self::Axe => Needs { node: Some(AXE), ..Needs::NOTHING },
            Self::OidcProvider => Needs { node: Some(OIDC_PROVIDER), ..Needs::NOTHING },
            Self::SimpleSamlPhp => Needs { packages: &SIMPLESAMLPHP, ..Needs::NOTHING },
            Self::Pysaml2 => Needs { packages: &XMLSEC1, environment: Some(&PYSAML2), ..Needs::NOTHING },
            Self::MatrixJsSdk => Needs { bundle: Some(&MATRIX_JS_SDK), ..Needs::NOTHING },
            Self::FakeTime => Needs { packages: &[FAKE_TIME], ..Needs::NOTHING },
            Self::ContainerLinters => {
                Needs { packages: &COMPOSE, environment: Some(&HADOLINT), ..Needs::NOTHING }
            }
            Self::ContainerEngine => Needs { packages: &ENGINE, ..Needs::NOTHING },
            Self::ReverseProxies => Needs { packages: &REVERSE_PROXIES, ..Needs::NOTHING },
            Self::SamlLibraries => Needs { packages: &SAML_LIBRARIES, ..Needs::NOTHING },
        }
    }

    /// The Python that runs this component, or that its programs are beside; an error if the component is not installed.
    pub fn python(self) -> anyhow::Result<PathBuf> {
        let environment =
            self.needs().environment.with_context(|| format!("{self:?} is no Python program"))?;
        environment.python(&lab_dir()).with_context(|| {
            format!(
                "{} is not installed: call install::ensure(&[Component::{self:?}], ..) first",
                environment.what
            )
        })
    }
}

/// `target/lab` of the workspace: environments, the lock, nothing that cannot be made again.
#[must_use]
pub fn lab_dir() -> PathBuf {
    target_dir().join("lab")
}

/// `target` of the workspace.
pub(super) fn target_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target")
}

/// Where axe-core lies; an error if it is not installed.
pub(super) fn axe_script() -> anyhow::Result<PathBuf> {
    let directory = AXE.directory(&lab_dir());
    let directory = directory.context("call install::ensure(&[Component::Axe], ..) first")?;
    Ok(directory.join("axe.min.js"))
}

/// Where oidc-provider lies; an error if it is not installed.
pub(super) fn oidc_provider_package() -> anyhow::Result<PathBuf> {
    OIDC_PROVIDER.directory(&lab_dir()).context("call install::ensure(&[Component::OidcProvider], ..) first")
}

/// Where matrix-js-sdk's module lies; an error if it was not made.
pub(super) fn matrix_js_sdk() -> anyhow::Result<PathBuf> {
    let directory = MATRIX_JS_SDK.directory(&lab_dir());
    directory.context("call install::ensure(&[Component::MatrixJsSdk], ..) first")
}

/// Installs what is missing of `components`.
///
/// Fails if a Debian package is missing and this user may not install it (the error holds the command to run), or if
/// apt, pip or npm fails (the error holds what they said).
pub async fn ensure(components: &[Component], progress: &Progress) -> anyhow::Result<()> {
    ensure_in(&lab_dir(), components, progress).await
}

async fn ensure_in(lab: &Path, components: &[Component], progress: &Progress) -> anyhow::Result<()> {
    let mut packages: Vec<Package> = Vec::new();
    let mut environments: Vec<&Environment> = Vec::new();
    let mut node_packages: Vec<NodePackage> = Vec::new();
    let mut bundles: Vec<&Bundle> = Vec::new();
    for component in components {
        let needs = component.needs();
        for package in needs.packages {
            if !package.is_there().await? {
                packages.push(*package);
            }
        }
        environments.extend(needs.environment.filter(|environment| environment.python(lab).is_err()));
        node_packages.extend(needs.node.filter(|package| package.directory(lab).is_err()));
        bundles.extend(needs.bundle.filter(|bundle| bundle.directory(lab).is_err()));
    }
    let needs_npm = !node_packages.is_empty() || !bundles.is_empty();
    if packages.is_empty() && environments.is_empty() && !needs_npm {
        return Ok(());
    }
    let lock = lock(lab, progress).await?;
    if !environments.is_empty() && python::find_interpreter().await.is_none() {
        packages.push(python::PACKAGE);
    }
    if needs_npm && !node::has_npm().await {
        packages.push(node::PACKAGE);
    }
    debian::install(&packages, progress).await?;
    for environment in environments {
        // Another process may have made it while this one waited for the lock.
        if environment.python(lab).is_err() {
            environment.make(lab, progress).await?;
        }
    }
    for package in node_packages {
        if package.directory(lab).is_err() {
            package.install(lab, progress).await?;
        }
    }
    for bundle in bundles {
        if bundle.directory(lab).is_err() {
            bundle.make(lab, progress).await?;
        }
    }
    drop(lock);
    Ok(())
}

/// Held until dropped; the kernel lets go of it if this process dies.
async fn lock(lab: &Path, progress: &Progress) -> anyhow::Result<File> {
    fs::create_dir_all(lab).with_context(|| format!("cannot make {}", lab.display()))?;
    let path = lab.join("install.lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => progress.line("another process is installing; waiting for it ..."),
        Err(TryLockError::Error(error)) => return Err(error).context("cannot lock the lab's directory"),
    }
    let waited = tokio::task::spawn_blocking(move || file.lock().map(|()| file)).await;
    waited.context("waiting for the lock was interrupted")?.context("cannot lock the lab's directory")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::{Component, Progress, ensure_in, python::Environment};

    const EMPTY: Environment =
        Environment { name: "empty", what: "nothing", requirements: "# nothing\n", about_seconds: 1 };

    #[test]
    fn every_component_needs_something() {
        for component in [
            Component::Synapse,
            Component::CasServer,
            Component::Postgres,
            Component::DocumentTools,
            Component::Chromium,
            Component::Axe,
            Component::OidcProvider,
            Component::SimpleSamlPhp,
            Component::Pysaml2,
            Component::MatrixJsSdk,
            Component::FakeTime,
            Component::ContainerLinters,
            Component::ContainerEngine,
            Component::ReverseProxies,
            Component::SamlLibraries,
        ] {
            let needs = component.needs();
            let of_npm = needs.node.is_some() || needs.bundle.is_some();
            let is_something = !needs.packages.is_empty() || needs.environment.is_some() || of_npm;
            assert!(is_something, "{component:?}");
        }
    }

    #[tokio::test]
    async fn an_environment_counts_only_when_it_was_finished_with_the_same_pins() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        assert!(EMPTY.python(lab.path()).is_err(), "nothing is there");
        EMPTY.make(lab.path(), &Progress::silent()).await.expect("an empty environment can be made");
        assert!(EMPTY.python(lab.path()).is_ok(), "it was made");
        let other_pins = Environment { requirements: "# other\n", ..EMPTY };
        assert!(other_pins.python(lab.path()).is_err(), "other pins");
        std::fs::remove_file(lab.path().join("python-empty/stamp")).expect("the stamp is there");
        assert!(EMPTY.python(lab.path()).is_err(), "half finished");
    }

    #[tokio::test]
    async fn nothing_is_said_or_done_when_nothing_is_missing() {
        let lab = tempfile::tempdir().expect("a temporary directory");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let progress = Progress::to(move |line| sink.lock().expect("no panic").push(line.to_owned()));
        ensure_in(lab.path(), &[], &progress).await.expect("nothing to do");
        assert!(lines.lock().expect("no panic").is_empty());
    }
}

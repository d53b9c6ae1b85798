//! What the metadata of a federation as large as they come costs (45 MB, 11,500 entities): the process that verifies and reads it, and
//! Usher once it is read.

use std::{fs, path::Path, process::Stdio, time::Instant};

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use usher_lab::{
    real::free_port,
    scripted::saml::{
        SamlKey, Signing,
        federation::{Issue, aggregate, strangers},
    },
    usher::Usher,
};

use super::{Bench, Profile, figures::Figure, figures::median, probe, site::Site};

const LOAD_S: f64 = 6.0;
const PEAK_MB: f64 = 500.0;
const RESIDENT_MB: f64 = 20.0;
/// How often the document is read.
const ROUNDS: usize = 3;
/// What Usher logs when it has read it.
const READ: &str = "the metadata of a federation was read";

/// The document, and what reading it took.
pub(super) struct Federation {
    directory: tempfile::TempDir,
    mebibytes: f64,
    load_s: f64,
    peak_mb: f64,
}

impl Federation {
    /// Writes the document, and has the program read it as Usher has it do.
    pub(super) async fn read(bench: &Bench<'_>) -> anyhow::Result<Self> {
        let entities = match bench.load.profile {
            Profile::Release => 11_500,
            Profile::Dev => 300,
        };
        bench.progress.line(&format!("reading the metadata of a federation of {entities} entities ..."));
        let directory = tempfile::tempdir().context("no temporary directory can be made")?;
        let path = directory.path().to_owned();
        let certificate = tokio::task::spawn_blocking(move || write(&path, entities)).await??;
        let job = json!({
            "from": { "File": directory.path().join("federation.xml") },
            "signers": [certificate], "filter": { "idps": [], "registered_by": [] }, "is_unsigned": false, "now": 0,
        });
        let bytes = fs::metadata(directory.path().join("federation.xml"))?.len();
        let mut readings = Vec::new();
        for _ in 0..ROUNDS {
            readings.push(read_once(bench.usher, &job).await?);
        }
        let mebibytes = f64::from(u32::try_from(bytes / 1024)?) / 1024.0;
        let load_s = median(readings.iter().map(|(seconds, _)| *seconds));
        let peak_mb = readings.iter().map(|(_, peak)| *peak).fold(0.0, f64::max);
        Ok(Self { directory, mebibytes, load_s, peak_mb })
    }

    /// These figures, and how much more memory Usher takes with it than without.
    pub(super) async fn figures(
        &self,
        bench: &Bench<'_>,
        directory: &Path,
        site: &Site,
        database_url: &str,
    ) -> anyhow::Result<Vec<Figure>> {
        let federation = json!({
            "id": "federation", "name": "Federation", "saml": {
                "metadata_file": self.directory.path().join("federation.xml"),
                "metadata_certificate_file": self.directory.path().join("federation.pem"),
                "federation": {},
            },
        });
        let mut memory = Vec::new();
        for more in [None, Some(federation)] {
            let listen = format!("127.0.0.1:{}", free_port()?);
            let mut config = site.config(&listen, database_url);
            let is_read = more.is_some();
            config["providers"].as_array_mut().context("providers")?.extend(more);
            let name = if is_read { "with-federation" } else { "without-federation" };
            fs::create_dir_all(directory.join(name))?;
            let mut usher = Usher::start(bench.usher, &directory.join(name), &config).await?;
            let pid = usher.id().context("usher has ended")?;
            let deadline = Instant::now() + std::time::Duration::from_mins(3);
            while is_read && !usher.log()?.contains(READ) {
                ensure!(Instant::now() < deadline, "it was not read: {}", usher.log()?);
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            memory.push(probe::mebibytes(probe::resident(pid)?));
            usher.stop().await?;
        }
        Ok(vec![
            Figure::new("aggregate_mb", "a federation's metadata (MiB)", self.mebibytes),
            Figure::at_most("aggregate_load_s", "it is verified and read (s)", self.load_s, LOAD_S),
            Figure::at_most(
                "aggregate_peak_mb",
                "memory of the process that does (MB)",
                self.peak_mb,
                PEAK_MB,
            ),
            Figure::at_most(
                "aggregate_resident_mb",
                "memory of usher with it, over without (MiB)",
                memory[1] - memory[0],
                RESIDENT_MB,
            ),
        ])
    }
}

/// The signer's certificate in base64.
fn write(directory: &Path, entities: usize) -> anyhow::Result<String> {
    let key = SamlKey::rsa(2048)?;
    let certificate = key.certificate_base64()?;
    let members = strangers(entities, &certificate);
    fs::write(directory.join("federation.pem"), key.certificate_pem()?)?;
    fs::write(
        directory.join("federation.xml"),
        aggregate(&members, &Issue::signed_with(Signing::with(&key)))?,
    )?;
    Ok(certificate)
}

/// Seconds, and the most memory in MB.
async fn read_once(usher: &Path, job: &Value) -> anyhow::Result<(f64, f64)> {
    let start = Instant::now();
    let mut child = tokio::process::Command::new(usher)
        .args(["saml", "read-federation"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("a standard input")?;
    stdin.write_all(job.to_string().as_bytes()).await?;
    drop(stdin);
    let output = child.wait_with_output().await?;
    let load_s = start.elapsed().as_secs_f64();
    ensure!(output.status.success(), "it ended with {}", output.status);
    // The answer stands at the end, and its length behind it.
    let (rest, length) = output.stdout.split_last_chunk().context("an answer")?;
    let at = rest.len().checked_sub(u32::from_le_bytes(*length) as usize).context("an answer")?;
    let answer: Value = serde_json::from_slice(&rest[at..])?;
    let peak = answer["Read"]["peak_kib"].as_u64().with_context(|| format!("it says {answer}"))?;
    Ok((load_s, f64::from(u32::try_from(peak)?) * 1024.0 / 1e6))
}

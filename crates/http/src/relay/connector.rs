//! TCP, and TLS where the server has it: reqwest's own way, for requests that do not go through it.

use std::sync::Arc;

use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::NoRelay;
use crate::CONNECT_TIMEOUT;

pub(super) type Connector = HttpsConnector<HttpConnector>;

/// The system's certificate authorities are not even read where there is no TLS.
pub(super) fn build(ca_pem: Option<&[u8]>, has_tls: bool) -> Result<Connector, NoRelay> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => add_bundle(&mut roots, pem)?,
        None if has_tls => {
            let system = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(system.certs);
        }
        None => {}
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(NoRelay::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    Ok(HttpsConnectorBuilder::new()
        .with_tls_config(config)
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp))
}

fn add_bundle(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), NoRelay> {
    let mut is_empty = true;
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| NoRelay::CaBundle)?;
        roots.add(certificate).map_err(|_| NoRelay::CaBundle)?;
        is_empty = false;
    }
    if is_empty { Err(NoRelay::CaBundle) } else { Ok(()) }
}

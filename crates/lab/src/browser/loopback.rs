//! Names under `.localhost` are loopback: <https://datatracker.ietf.org/doc/html/rfc6761#section-6.3>. Browsers and
//! curl know it; glibc does not.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::{
    Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};

/// A client for the lab: resolves `*.localhost` and no other name, knows no proxy, follows no redirect. `timeout` is
/// for one answer, body included.
#[expect(clippy::disallowed_methods, reason = "the lab plays browsers and other programs, not Usher")]
pub fn loopback_client(timeout: Duration) -> reqwest::Result<Client> {
    Client::builder()
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .timeout(timeout)
        .dns_resolver(Arc::new(LoopbackNames))
        .user_agent("Mozilla/5.0 (X11; Linux x86_64) usher-lab")
        .build()
}

/// Resolves `*.localhost` to 127.0.0.1 and nothing else: the lab never leaves the machine.
#[derive(Clone, Copy, Debug)]
struct LoopbackNames;

impl Resolve for LoopbackNames {
    fn resolve(&self, name: Name) -> Resolving {
        let name = name.as_str().trim_end_matches('.').to_ascii_lowercase();
        Box::pin(async move {
            if name == "localhost" || name.ends_with(".localhost") {
                // Port 0: the port of the URL.
                let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                return Ok(Box::new(std::iter::once(here)) as Addrs);
            }
            Err(io::Error::other(format!("{name} is not a name of the lab (*.localhost)")).into())
        })
    }
}

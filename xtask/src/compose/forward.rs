//! A TCP port at an address that containers reach, for a server of this program that listens on loopback. It can keep
//! what comes in from going on, so that a request is under way for as long as somebody wants.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use tokio::{
    io::{self, AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};

/// Gone with all its connections when dropped.
#[derive(Debug)]
pub(super) struct Forward {
    gate: Arc<Gate>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Gate {
    is_shut: watch::Sender<bool>,
    arrived: Notify,
}

impl Forward {
    /// What comes to `port` of `address` goes to the same port of 127.0.0.1.
    pub(super) async fn start(address: Ipv4Addr, port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind((address, port)).await?;
        let gate = Arc::new(Gate { is_shut: watch::Sender::new(false), arrived: Notify::new() });
        let shared = Arc::clone(&gate);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let gate = Arc::clone(&shared);
                // A connection that breaks is seen by whoever uses it.
                tokio::spawn(async move { forward(client, port, &gate).await });
            }
        });
        Ok(Self { gate, task })
    }

    /// From now on nothing that comes in goes on.
    pub(super) fn shut(&self) {
        self.gate.is_shut.send_replace(true);
    }

    /// Waits until something has come that does not go on.
    pub(super) async fn arrived(&self) {
        self.gate.arrived.notified().await;
    }

    /// Everything goes on.
    pub(super) fn open(&self) {
        self.gate.is_shut.send_replace(false);
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(client: TcpStream, port: u16, gate: &Gate) -> io::Result<()> {
    let server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let there = async {
        let mut is_shut = gate.is_shut.subscribe();
        let mut chunk = vec![0; 16 * 1024];
        loop {
            let length = from_client.read(&mut chunk).await?;
            if length == 0 {
                return to_server.shutdown().await;
            }
            if *is_shut.borrow_and_update() {
                gate.arrived.notify_one();
                // The gate outlives its connections, so that waiting cannot fail.
                let _ = is_shut.wait_for(|is_shut| !is_shut).await;
            }
            to_server.write_all(&chunk[..length]).await?;
        }
    };
    let back = async {
        io::copy(&mut from_server, &mut to_client).await?;
        to_client.shutdown().await
    };
    tokio::try_join!(there, back).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_comes_to_a_shut_gate_goes_on_when_it_is_opened() -> anyhow::Result<()> {
        let echo = TcpListener::bind("127.0.0.1:0").await?;
        let port = echo.local_addr()?.port();
        tokio::spawn(async move {
            let (mut connection, _) = echo.accept().await?;
            let (mut from, mut to) = connection.split();
            io::copy(&mut from, &mut to).await
        });
        // Another loopback address, as the server's port is taken on the first.
        let address = Ipv4Addr::new(127, 0, 0, 2);
        let forward = Forward::start(address, port).await?;
        let mut client = TcpStream::connect((address, port)).await?;
        let mut answer = [0; 3];
        client.write_all(b"one").await?;
        client.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"one");
        forward.shut();
        client.write_all(b"two").await?;
        forward.arrived().await;
        forward.open();
        client.read_exact(&mut answer).await?;
        assert_eq!(&answer, b"two");
        Ok(())
    }
}

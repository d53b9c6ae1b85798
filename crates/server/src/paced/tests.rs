use futures_util::FutureExt as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

/// What the network holds between the two.
const ROOM: usize = 100;
const HOUR: Duration = Duration::from_hours(1);
const PATIENT: Patience = Patience { taken: HOUR, answered: HOUR, idle: HOUR };
const SHORT: Duration = Duration::from_millis(20);

fn connection(patience: Patience) -> (Paced<DuplexStream>, DuplexStream) {
    let (ours, clients) = duplex(ROOM);
    (Paced::new(ours, patience), clients)
}

async fn read(ours: &mut Paced<DuplexStream>) -> Result<usize, io::ErrorKind> {
    ours.read(&mut [0; 10]).await.map_err(|error| error.kind())
}

#[tokio::test]
async fn nothing_is_read_while_an_answer_is_not_taken() {
    let (mut ours, mut clients) = connection(PATIENT);
    clients.write_all(b"one two").await.expect("room");
    assert_eq!(ours.read(&mut [0; 3]).await.expect("a request"), 3);
    assert!(ours.write_all(&[b'x'; ROOM + 1]).now_or_never().is_none(), "no room for the answer");
    assert_eq!(read(&mut ours).now_or_never(), None, "the next request is there, and is not read");
    clients.read_exact(&mut [0; ROOM]).await.expect("the answer");
    ours.write_all(b"x").await.expect("room again");
    assert_eq!(read(&mut ours).now_or_never(), Some(Ok(4)), "the next request");
}

#[tokio::test]
async fn whoever_waits_to_read_is_woken_when_the_answer_is_taken() {
    let (ours, mut clients) = connection(PATIENT);
    let (mut reader, mut writer) = tokio::io::split(ours);
    clients.write_all(b"one").await.expect("room");
    let both = tokio::spawn(async move {
        tokio::join!(biased; writer.write_all(&[b'x'; ROOM + 1]), async { reader.read(&mut [0; 10]).await })
    });
    tokio::task::yield_now().await;
    clients.read_exact(&mut [0; ROOM + 1]).await.expect("the answer");
    let (written, read) = both.await.expect("no panic");
    written.expect("room");
    assert_eq!(read.expect("a request"), 3);
}

#[tokio::test]
async fn an_answer_that_nobody_takes_ends_the_connection() {
    let (mut ours, clients) = connection(Patience { taken: Duration::ZERO, ..PATIENT });
    let outcome = ours.write_all(&[b'x'; ROOM + 1]).await;
    assert_eq!(outcome.map_err(|error| error.kind()), Err(io::ErrorKind::TimedOut));
    drop(clients);
}

#[tokio::test]
async fn a_request_that_never_ends_ends_the_connection_though_its_bytes_keep_coming() {
    let (mut ours, mut clients) = connection(Patience { answered: SHORT, ..PATIENT });
    let began = Instant::now();
    loop {
        clients.write_all(b"x").await.expect("room");
        match read(&mut ours).await.expect("no error") {
            0 => break,
            length => assert_eq!(length, 1),
        }
        tokio::task::yield_now().await;
    }
    assert!(began.elapsed() >= SHORT);
}

#[tokio::test]
async fn whoever_falls_silent_between_two_requests_is_taken_to_have_gone() {
    let (mut ours, mut clients) = connection(Patience { idle: SHORT, ..PATIENT });
    clients.write_all(b"one").await.expect("room");
    assert_eq!(read(&mut ours).await, Ok(3));
    ours.write_all(b"answer").await.expect("room");
    let answered = Instant::now();
    assert_eq!(read(&mut ours).await, Ok(0), "the end");
    assert!(answered.elapsed() >= SHORT);
}

#[tokio::test]
async fn whoever_does_their_part_in_time_is_never_late() {
    let patience = Patience { taken: HOUR, answered: SHORT, idle: SHORT };
    let (mut ours, mut clients) = connection(patience);
    let began = Instant::now();
    while began.elapsed() < SHORT * 3 {
        clients.write_all(b"one").await.expect("room");
        assert_eq!(read(&mut ours).await, Ok(3));
        ours.write_all(b"answer").await.expect("room");
        clients.read_exact(&mut [0; 6]).await.expect("the answer");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn every_part_of_an_answer_that_is_taken_begins_the_time_anew() {
    let (mut ours, _clients) = connection(PATIENT);
    ours.write_all(b"x").await.expect("room");
    let before = ours.deadline.deadline();
    ours.write_all(b"x").await.expect("room");
    assert!(ours.deadline.deadline() > before);
}

#[tokio::test]
async fn a_client_that_closes_its_side_is_told_of() {
    let (mut ours, mut clients) = connection(PATIENT);
    let hangup = ours.hangup().clone();
    clients.write_all(b"one").await.expect("room");
    assert_eq!(read(&mut ours).await, Ok(3));
    assert!(hangup.wait().now_or_never().is_none(), "it may yet say more");
    drop(clients);
    assert_eq!(read(&mut ours).await, Ok(0));
    hangup.wait().await;
}

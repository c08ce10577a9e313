//! Bytes that are no protocol: whoever sends them is cut off, and everybody else is served.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test")]

mod support;

use rand::rngs::StdRng;
use rand::{Rng, RngCore, SeedableRng};
use support::{echoed, numbered, soon, start, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_socket_harms_nobody() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (a, b) = (start(1), start(2));
    let peer = a.peer(&b);
    for round in 0..100 {
        let mut socket = TcpStream::connect(b.address()).await.unwrap();
        let mut bytes = vec![0; random.random_range(1..5000)];
        random.fill_bytes(&mut bytes);
        if round % 2 == 0 {
            // The server may have cut the connection already.
            let _ = socket.write_all(PREFACE).await;
            // Frames with proper lengths, so that more than the first is looked at.
            for frame in bytes.chunks_mut(200) {
                let length = frame.len().saturating_sub(9);
                if frame.len() > 9 {
                    frame[..3].copy_from_slice(&[0, 0, length as u8]);
                    frame[3] %= 10;
                }
            }
        }
        let _ = socket.write_all(&bytes).await;
        let _ = socket.shutdown().await;
        let mut rest = Vec::new();
        // Ends with an error or an end, but ends.
        let _ = within(socket.read_to_end(&mut rest)).await;
        let answer = within(peer.request(1, numbered(round, 1), soon())).await;
        assert_eq!(answer, Ok(echoed(round, 1)));
    }
    assert!(peer.is_up());
}

/// What listens there is no node: garbage, silence that ends, an end at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_from_whoever_is_dialled_makes_it_unreachable() {
    let seed: u64 = rand::random();
    eprintln!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let a = start(1);
    for node in 2..22 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut bytes = vec![0; random.random_range(0..2000)];
        random.fill_bytes(&mut bytes);
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.write_all(&bytes).await;
        });
        let peer = a.transport.peer(node, &address);
        let answer = within(peer.request(1, numbered(1, 1), soon())).await;
        assert!(!answer.unwrap_err().outcome_unknown());
        assert!(!peer.is_up());
        server.await.unwrap();
        a.transport.forget(node);
    }
}

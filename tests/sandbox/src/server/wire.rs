//! Connections that a platform can reset in the middle of a request.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::lock;

/// After a connection could not be taken, mostly for lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections that can be reset, as long as the door is open.
pub(crate) struct Wires {
    listener: Option<TcpListener>,
    address: SocketAddr,
    door: Arc<Door>,
    is_wanted: watch::Receiver<bool>,
}

/// Opens and closes a port while a platform runs.
#[derive(Debug)]
pub(crate) struct Door {
    is_wanted: watch::Sender<bool>,
    is_open: watch::Sender<bool>,
    /// Ends the connections of the time since the door was last opened.
    life: Mutex<CancellationToken>,
}

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    is_cut: Arc<AtomicBool>,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Resets its connection.
#[derive(Debug, Clone)]
pub(crate) struct Cutter(Arc<AtomicBool>);

impl Door {
    pub(crate) fn open() -> Self {
        Self {
            is_wanted: watch::Sender::new(true),
            is_open: watch::Sender::new(true),
            life: Mutex::default(),
        }
    }

    /// Opens or closes it; ends when it is so.
    pub(crate) async fn set_open(&self, is_wanted: bool) {
        self.is_wanted.send_replace(is_wanted);
        let mut is_open = self.is_open.subscribe();
        // The sender lives as long as this does.
        is_open.wait_for(|is_open| *is_open == is_wanted).await.ok();
    }
}

impl Wires {
    pub(crate) fn new(listener: TcpListener, door: Arc<Door>) -> io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            listener: Some(listener),
            is_wanted: door.is_wanted.subscribe(),
            door,
        })
    }

    /// Closes the port, resets what is open, and waits until the port is wanted again.
    async fn stay_closed(&mut self) {
        self.listener = None;
        std::mem::take(&mut *lock(&self.door.life)).cancel();
        self.door.is_open.send_replace(false);
        // The sender lives as long as the door, which this holds.
        self.is_wanted.wait_for(|is_wanted| *is_wanted).await.ok();
    }

    async fn open_again(&mut self) {
        while self.listener.is_none() {
            self.listener = TcpListener::bind(self.address).await.ok();
            if self.listener.is_none() {
                sleep(PAUSE).await;
            }
        }
        self.door.is_open.send_replace(true);
    }
}

impl Listener for Wires {
    type Io = Wire;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Wire, SocketAddr) {
        loop {
            if !*self.is_wanted.borrow_and_update() {
                self.stay_closed().await;
                self.open_again().await;
            }
            let Some(listener) = &self.listener else {
                continue;
            };
            tokio::select! {
                _ = self.is_wanted.changed() => {}
                accepted = listener.accept() => {
                    let Ok((stream, address)) = accepted else {
                        sleep(PAUSE).await;
                        continue;
                    };
                    let end = lock(&self.door.life).clone().cancelled_owned();
                    let (is_cut, end) = (Arc::default(), Box::pin(end));
                    return (Wire { stream, is_cut, end }, address);
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

impl Connected<IncomingStream<'_, Wires>> for Cutter {
    fn connect_info(incoming: IncomingStream<'_, Wires>) -> Self {
        Self(Arc::clone(&incoming.io().is_cut))
    }
}

impl Cutter {
    /// Resets the connection as soon as something is written to it, which is lost.
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl Wire {
    fn check(&self) -> io::Result<()> {
        if !self.is_cut.load(Ordering::SeqCst) {
            return Ok(());
        }
        // Closed like this, the other side sees a reset and not an end.
        self.stream.set_zero_linger()?;
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.end.as_mut().poll(context).is_ready() {
            self.stream.set_zero_linger()?;
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

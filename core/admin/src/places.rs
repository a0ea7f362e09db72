//! Slots for concurrent requests: separate ones with and without a token, so that reads without a
//! token never keep the operator out. A slot is held until the response is sent: a client that does
//! not read it holds the slot until the stream times out.

use super::connections::Peer;
use api::ApiError;
use axum::body::{Body, Bytes, to_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Concurrent requests with the token, and as many without.
const PLACES: usize = 32;

/// How long a request waits for a slot.
const WAIT: Duration = Duration::from_secs(2);

/// The slots.
#[derive(Debug)]
pub(super) struct Places {
    with_token: Arc<Semaphore>,
    without: Arc<Semaphore>,
}

impl Default for Places {
    fn default() -> Places {
        let places = || Arc::new(Semaphore::new(PLACES));
        Places { with_token: places(), without: places() }
    }
}

/// One slot and its connection.
#[derive(Debug)]
pub(super) struct Place {
    _permit: OwnedSemaphorePermit,
    serving: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.serving.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Places {
    /// Takes a slot, waiting for a free one.
    pub(super) async fn take(&self, with_token: bool, peer: &Peer) -> Result<Place, ApiError> {
        let places = if with_token { &self.with_token } else { &self.without };
        match timeout(WAIT, Arc::clone(places).acquire_owned()).await {
            Ok(Ok(permit)) => {
                peer.serving.fetch_add(1, Ordering::Relaxed);
                Ok(Place { _permit: permit, serving: Arc::clone(&peer.serving) })
            }
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(ApiError::busy()),
        }
    }
}

impl Place {
    /// A body that releases the slot when the system has taken its last byte.
    pub(super) async fn hold_until_sent(self, body: Body) -> Result<Body, ApiError> {
        let bytes = to_bytes(body, usize::MAX).await;
        let bytes = bytes.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Body::from(Bytes::from_owner(Held { bytes, _place: self })))
    }
}

/// The bytes of a response and the slot that they hold.
struct Held {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

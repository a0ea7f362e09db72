//! Requests that are served at a time: some with a token, some without, so that who reads
//! without one never keeps the operator out. A place is held until the answer is on its way: who
//! does not read it holds it, for as long as the stream has patience.

use super::connections::Peer;
use api::ApiError;
use axum::body::{Body, Bytes, to_bytes};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// Requests at a time that showed the token, and as many that needed none.
const PLACES: usize = 32;

/// How long a request waits for a place.
const WAIT: Duration = Duration::from_secs(2);

/// The places.
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

/// One place, with the connection that sits in it.
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
    /// A place, once one is free.
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
    /// A body that gives the place back when its last byte was taken by the system.
    pub(super) async fn hold_until_sent(self, body: Body) -> Result<Body, ApiError> {
        let bytes = to_bytes(body, usize::MAX).await;
        let bytes = bytes.map_err(|error| ApiError::internal(error.to_string()))?;
        Ok(Body::from(Bytes::from_owner(Held { bytes, _place: self })))
    }
}

/// The bytes of an answer, and the place that they hold.
struct Held {
    bytes: Bytes,
    _place: Place,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

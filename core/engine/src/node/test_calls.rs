//! Test calls over one vendor trunk (ROUTE-83).

use super::Node;
use crate::clock;
use crate::mailbox::Command;
use crate::nearest::nearest;
use api::ApiError;
use api::{LONGEST_TEST_CALL_S, TestCallPlaced, TestCallRequest, call_id_text};
use std::time::Duration;
use switch::{NotPlaced, TestCall};
use tokio::sync::oneshot;

/// Format of a number.
const NUMBER: &str = "1 to 64 letters, digits and `*#._-`, with `+` only at its begin";

impl Node {
    /// Places a test call without waiting for its result.
    pub async fn place_test_call(
        &self,
        request: TestCallRequest,
    ) -> Result<TestCallPlaced, ApiError> {
        let TestCallRequest { trunk, callee, caller, tone, seconds } = request;
        if !(1..=LONGEST_TEST_CALL_S).contains(&seconds) {
            let detail =
                format!("{seconds} is out of range: allowed are 1 to {LONGEST_TEST_CALL_S}");
            return Err(ApiError::invalid("seconds", detail));
        }
        let test = TestCall {
            trunk: self.vendor_trunk(&trunk)?,
            caller: caller.as_str().into(),
            callee: callee.as_str().into(),
            tone,
            length: Duration::from_secs(seconds.into()),
        };
        // Any shard will do: the id does not depend on it.
        let now = usize::try_from(clock::utc_ms()).unwrap_or_default();
        let shard = now.checked_rem(self.mailboxes.len()).unwrap_or_default();
        let (sender, receiver) = oneshot::channel();
        if let Some(mailbox) = self.mailboxes.get(shard) {
            mailbox.send(Command::Place(test, sender));
        }
        let placed = receiver.await;
        let placed = placed.map_err(|_| ApiError::no_calls_now("the node is stopping"))?;
        let number = |field: &str, number: &str| {
            ApiError::invalid(field, format!("`{number}` is no number: {NUMBER}"))
        };
        match placed {
            Ok(id) => Ok(TestCallPlaced { id: call_id_text(id) }),
            Err(NotPlaced::NoTrunk) => Err(self.no_such_trunk(&trunk)),
            Err(NotPlaced::TrunkLocked) => {
                let detail = format!("vendor trunk `{trunk}` is locked");
                Err(ApiError::refused("trunk_locked", detail))
            }
            Err(NotPlaced::AccountLocked) => {
                let detail = format!("the account of vendor trunk `{trunk}` is locked");
                Err(ApiError::refused("account_locked", detail))
            }
            Err(NotPlaced::Caller) => Err(number("caller", &caller)),
            Err(NotPlaced::Callee) => Err(number("callee", &callee)),
            Err(NotPlaced::Closed(why)) => Err(ApiError::no_calls_now(why)),
            Err(NotPlaced::Full) => {
                Err(ApiError::no_calls_now("the node has as many calls as it may have"))
            }
        }
    }

    /// Id of a vendor trunk for new calls.
    fn vendor_trunk(&self, name: &str) -> Result<u32, ApiError> {
        let snapshot = self.desk().snapshot();
        snapshot.vendor(name).map(|trunk| trunk.id).ok_or_else(|| self.no_such_trunk(name))
    }

    fn no_such_trunk(&self, name: &str) -> ApiError {
        let snapshot = self.desk().snapshot();
        let known = snapshot.facts.vendors().values().map(|trunk| &*trunk.name);
        ApiError::not_found(match nearest(name, known) {
            Some((_, known)) => format!("no vendor trunk `{name}`; the nearest is `{known}`"),
            None => format!("no vendor trunk `{name}`, nor any other"),
        })
    }
}

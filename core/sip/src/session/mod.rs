//! A leg: one session with one peer, as a state machine (RFC 3261 sections 12 to 15, RFC 3262,
//! RFC 3311, RFC 4028). It owns its dialogs, the state of offer and answer, the requests of both
//! sides inside the dialog, its session timer and the answers to the peer's challenges. A customer,
//! a vendor and a test agent are all legs; the owner of a leg decides what it says and when.

mod called;
mod calling;
mod farewell;
mod login;
mod negotiation;
mod ours;
mod requests;
mod route;
mod session_timer;
mod theirs;
mod wire;

pub use called::Demand;
pub use calling::{Invitation, NoMore};
pub use farewell::{Farewell, decline_answer};
pub use login::Credentials;
pub use negotiation::{Negotiation, Party};
pub use ours::RequestId;
pub use session_timer::SessionTimers;
pub use wire::{ALLOW, EXTENSIONS, Listeners, Wire};

use crate::{Dialog, Flow, Message, ResendSchedule, TransactionId};
use called::Called;
use calling::Calling;
use compact_str::CompactString;
use login::Login;
use ours::Ours;
use route::next_hop;
use serde::{Deserialize, Serialize};
use session_timer::SessionTimer;
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;
use theirs::Theirs;

/// Whether provisional responses are sent reliably (RFC 3262, SIG-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reliability {
    /// The extension is not announced to this peer.
    Off,
    /// If the peer requires it, and for a description in an 18x if the peer supports it.
    #[default]
    Supported,
    /// For every 18x; a caller that does not support it is refused with 421.
    Required,
}

/// How a leg behaves towards its peer.
#[derive(Clone, Debug, Default)]
pub struct LegSettings {
    /// Resends of our requests (SIG-21).
    pub schedule: Arc<ResendSchedule>,
    /// Answers the peer's challenges (SIG-53).
    pub credentials: Option<Credentials>,
    /// RFC 3262.
    pub reliability: Reliability,
    /// RFC 4028.
    pub timers: SessionTimers,
    /// Requests that are too large for a datagram go over a stream (RFC 3261 section 18.1.1).
    pub large_over_stream: bool,
}

/// The settings that the leg keeps itself; its login and its session timer hold the rest.
#[derive(Debug, Serialize, Deserialize)]
struct Manner {
    schedule: Arc<ResendSchedule>,
    reliability: Reliability,
    /// We request a session interval.
    timed: bool,
    large_over_stream: bool,
}

impl LegSettings {
    /// Splits the settings by the part of the leg that keeps them.
    fn apart(self) -> (Manner, Option<Box<Login>>, SessionTimer) {
        let LegSettings { schedule, credentials, reliability, timers, large_over_stream } = self;
        let timed = timers.interval > 0;
        let login = credentials.map(|own| Box::new(Login::new(own)));
        let manner = Manner { schedule, reliability, timed, large_over_stream };
        (manner, login, SessionTimer::new(timers))
    }
}

/// What a leg reports to its owner. The owner already has the message that caused it.
#[derive(Debug)]
pub enum LegEvent {
    /// We called: 100 came.
    Trying,
    /// We called: a 101 to 198 that counts came; it may carry an answer or an offer.
    Progress,
    /// We called: the INVITE was sent again, with credentials or another interval.
    SentAgain,
    /// We called: the first 2xx came. An answer in it is applied; the owner must send the ACK with
    /// [`Leg::acknowledge`].
    Answered,
    /// We called: a final refusal came.
    Refused,
    /// We called: nothing came within the window, or the peer cannot be reached.
    Unanswered {
        /// The network reports the peer as unreachable (SIG-24).
        unreachable: bool,
    },
    /// The peer called and gave up before our answer.
    Cancelled,
    /// The peer called and has acknowledged our 2xx.
    Acknowledged,
    /// The peer called, and our 2xx or a reliable 18x was never acknowledged.
    Unacknowledged,
    /// The peer's PRACK carries the answer to the offer in our 18x.
    ProvisionalAnswered(Box<Message>),
    /// The owner must answer a request of the peer with [`Leg::reply`]: a re-INVITE, an offer in
    /// UPDATE or PRACK, INFO.
    Request(TransactionId),
    /// The peer cancelled its re-INVITE.
    RequestCancelled(TransactionId),
    /// The ACK for our 2xx to the peer's re-INVITE came (true), or will not come any more (false).
    RequestAcknowledged(TransactionId, bool),
    /// The final response to a request that the owner sent.
    Response(RequestId),
    /// A request that the owner sent got no answer.
    NoResponse(RequestId),
    /// The peer hung up.
    Bye(Box<Message>),
    /// The peer is gone, or has lost the dialog (SIG-29).
    Gone,
    /// The peer answered none of the requests of [`Leg::look_for_life`].
    NoLife,
}

/// One session with one peer. `U` names the leg in the events of the transactions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Leg<U> {
    owner: U,
    /// Where the peer's messages come from; requests go to [`Leg::next_hop`].
    flow: Flow,
    /// The peer's addresses cannot be trusted: it is behind a NAT (SIG-12).
    natted: bool,
    /// User of our Contact towards the peer, escaped (SIG-79).
    contact_user: CompactString,
    manner: Manner,
    login: Option<Box<Login>>,
    /// Whether the peer accepts UPDATE; `None` until it has said so.
    updates: Option<bool>,
    phase: Phase,
    sdp: Negotiation,
    /// Requests of the peer that are not finished.
    theirs: Vec<Theirs>,
    /// Requests of ours that are not finished.
    ours: Vec<Ours>,
    /// Requests of ours that wait until no other exchange is in progress.
    waiting: VecDeque<Ours>,
    last_request: u32,
    timer: SessionTimer,
}

/// The progress of the session.
#[derive(Debug, Serialize, Deserialize)]
enum Phase {
    /// The peer's INVITE has no final response from us.
    Called(Box<Called>),
    /// Our INVITE has no final response.
    Calling(Box<Calling>),
    /// Both sides have agreed.
    Up(Up),
    /// There was no session, or it has ended.
    Over,
}

/// A session that is up.
#[derive(Debug, Serialize, Deserialize)]
struct Up {
    dialog: Dialog,
    /// We placed the call.
    we_called: bool,
    /// The INVITE.
    invite: TransactionId,
    /// Its 2xx is not acknowledged: by the peer if it called, by us if we did.
    unacknowledged: bool,
    /// CSeq number of our INVITE.
    cseq: u32,
    /// The Reason of a BYE that must wait for the peer's ACK (RFC 3261 section 15).
    bye: Option<CompactString>,
}

impl<U: Copy> Leg<U> {
    /// A leg without a peer, over from the beginning: every operation on it does nothing.
    #[must_use]
    pub fn nobody(owner: U) -> Leg<U> {
        let nowhere = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
        let (manner, login, timer) = LegSettings::default().apart();
        Leg {
            owner,
            flow: Flow::datagram(0, nowhere),
            natted: false,
            contact_user: CompactString::default(),
            login,
            timer,
            manner,
            updates: None,
            phase: Phase::Over,
            sdp: Negotiation::default(),
            theirs: Vec::new(),
            ours: Vec::new(),
            waiting: VecDeque::new(),
            last_request: 0,
        }
    }

    /// Name of the leg in the events of the transactions.
    #[must_use]
    pub fn owner(&self) -> U {
        self.owner
    }

    /// Where the peer's messages come from.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.flow
    }

    /// Where requests to the peer go; behind a NAT, the source of its packets (SIG-12).
    #[must_use]
    pub fn next_hop(&self) -> Flow {
        match self.dialog() {
            Some(dialog) if !self.natted => next_hop(dialog, self.flow, |_, _| None),
            _ => self.flow,
        }
    }

    /// [`Leg::next_hop`], using the known addresses of host names.
    fn hop(&self, wire: &Wire<'_, U>) -> Flow {
        match self.dialog() {
            Some(dialog) if !self.natted => wire.hop(dialog, self.flow),
            _ => self.flow,
        }
    }

    /// The dialog; if there are several early ones, the newest.
    #[must_use]
    pub fn dialog(&self) -> Option<&Dialog> {
        match &self.phase {
            Phase::Called(called) => Some(&called.dialog),
            Phase::Calling(calling) => calling.newest(),
            Phase::Up(up) => Some(&up.dialog),
            Phase::Over => None,
        }
    }

    /// Offer and answer of this leg.
    #[must_use]
    pub fn negotiation(&self) -> &Negotiation {
        &self.sdp
    }

    /// Whether both sides have agreed on a session that has not ended.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.phase, Phase::Up(_))
    }

    /// Whether there is no session and none can follow.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether the peer accepts UPDATE (RFC 3311); `None` until it has said so.
    #[must_use]
    pub fn takes_update(&self) -> Option<bool> {
        self.updates
    }

    /// Sets the user of our Contact towards the peer, already escaped.
    pub fn set_contact_user(&mut self, user: &str) {
        self.contact_user = user.into();
    }

    /// Whether a message from the peer belongs to a dialog of this leg.
    #[must_use]
    pub fn owns(&self, message: &Message) -> bool {
        match &self.phase {
            Phase::Called(called) => called.dialog.matches(message),
            Phase::Calling(calling) => calling.owns(message),
            Phase::Up(up) => up.dialog.matches(message),
            Phase::Over => false,
        }
    }

    /// When [`Leg::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.deadline()
    }

    /// Handles the ACK for our 2xx.
    pub fn on_ack(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        ack: &Message,
    ) -> Option<LegEvent> {
        if let Some(up) = self.initial(id)
            && std::mem::take(&mut up.unacknowledged)
        {
            if let Some(sdp) = crate::sdp::body_of(ack)
                && self.sdp.open() == Some(Party::Us)
            {
                self.sdp.answer(sdp);
            }
            self.send_delayed_bye(wire);
            return Some(LegEvent::Acknowledged);
        }
        self.on_request_ack(wire, id, Some(ack))
    }

    /// Handles the end of a transaction that did not get what it waited for.
    pub fn on_transaction_over(
        &mut self,
        wire: &mut Wire<'_, U>,
        id: TransactionId,
        unreachable: bool,
    ) -> Option<LegEvent> {
        if let Some(up) = self.initial(id) {
            if up.we_called || !std::mem::take(&mut up.unacknowledged) {
                return None;
            }
            self.send_delayed_bye(wire);
            return Some(LegEvent::Unacknowledged);
        }
        match &mut self.phase {
            Phase::Called(called) if called.id == id => {
                return called.provisional_lost().then_some(LegEvent::Unacknowledged);
            }
            Phase::Calling(calling) if calling.id == id => {
                self.phase = Phase::Over;
                return Some(LegEvent::Unanswered { unreachable });
            }
            _ => {}
        }
        if self.theirs.iter().any(|theirs| theirs.id() == id) {
            return self.on_request_ack(wire, id, None);
        }
        self.on_request_over(wire, id)
    }

    /// The session, if this is the transaction of its INVITE.
    fn initial(&mut self, id: TransactionId) -> Option<&mut Up> {
        match &mut self.phase {
            Phase::Up(up) if up.invite == id => Some(up),
            _ => None,
        }
    }

    /// Sends the BYE that waited for the peer's ACK.
    fn send_delayed_bye(&mut self, wire: &mut Wire<'_, U>) {
        if let Phase::Up(up) = &mut self.phase
            && let Some(reason) = up.bye.take()
        {
            self.send_bye(wire, &reason);
        }
    }

    /// Whether our BYE waits for the peer's ACK.
    #[must_use]
    pub fn waits_to_hang_up(&self) -> bool {
        matches!(&self.phase, Phase::Up(Up { bye: Some(_), .. }))
    }

    /// Whether the initial 2xx is acknowledged: by the peer if it called, by us if we did.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(&self.phase, Phase::Up(Up { unacknowledged: false, .. }))
    }

    /// Sends a BYE that waits for an ACK at once, because the ACK can no longer arrive.
    pub fn hang_up_at_once(&mut self, wire: &mut Wire<'_, U>) {
        self.send_delayed_bye(wire);
    }

    /// Handles elapsed time: call it at or after [`Leg::poll_timeout`].
    pub fn handle_timeout(&mut self, wire: &mut Wire<'_, U>) -> Option<LegEvent> {
        let due = self.timer.due(wire.now)?;
        self.on_timer(wire, due)
    }
}

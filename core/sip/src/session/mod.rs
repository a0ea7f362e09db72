//! A leg: one session with one peer as a machine (RFC 3261 sections 12 to 15, RFC 3262, RFC
//! 3311, RFC 4028). It owns its dialogs, the state of offer and answer, the requests of both
//! sides inside the dialog, its session timer and what the peer wants proven. A customer, a
//! vendor and a test agent are legs of one kind; whoever owns a leg decides what it says and when.

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

/// Whether provisional responses are to arrive for certain (RFC 3262, SIG-06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reliability {
    /// The extension is not named to this peer.
    Off,
    /// Where the peer demands it, and for a description in a 18x where the peer knows it.
    #[default]
    Supported,
    /// For every 18x; a caller that does not know it is refused with 421.
    Required,
}

/// How a leg behaves towards its peer.
#[derive(Clone, Debug, Default)]
pub struct LegSettings {
    /// Resends of our requests (SIG-21).
    pub schedule: Arc<ResendSchedule>,
    /// For the peer's challenges (SIG-53).
    pub credentials: Option<Credentials>,
    /// RFC 3262.
    pub reliability: Reliability,
    /// RFC 4028.
    pub timers: SessionTimers,
    /// Requests that are too large for a datagram go over a stream (RFC 3261 section 18.1.1).
    pub large_over_stream: bool,
}

/// What a leg keeps of its settings; its login and its session timer have the rest.
#[derive(Debug, Serialize, Deserialize)]
struct Manner {
    schedule: Arc<ResendSchedule>,
    reliability: Reliability,
    /// A session interval is asked for.
    timed: bool,
    large_over_stream: bool,
}

impl LegSettings {
    /// The settings, each where a leg keeps it.
    fn apart(self) -> (Manner, Option<Box<Login>>, SessionTimer) {
        let LegSettings { schedule, credentials, reliability, timers, large_over_stream } = self;
        let timed = timers.interval > 0;
        let login = credentials.map(|own| Box::new(Login::new(own)));
        let manner = Manner { schedule, reliability, timed, large_over_stream };
        (manner, login, SessionTimer::new(timers))
    }
}

/// What a leg tells its owner. The message that it follows from is the owner's to read.
#[derive(Debug)]
pub enum LegEvent {
    /// We called: 100 came.
    Trying,
    /// We called: a 101 to 198 came that counts; it may carry an answer or an offer.
    Progress,
    /// We called: the INVITE was sent once more, with credentials or another interval.
    SentAgain,
    /// We called: the first 2xx came. An answer in it is taken; the ACK is the owner's to send
    /// with [`Leg::acknowledge`].
    Answered,
    /// We called: a final refusal came.
    Refused,
    /// We called: nothing came within the window, or the peer cannot be reached.
    Unanswered {
        /// The network says that nobody is there (SIG-24).
        unreachable: bool,
    },
    /// The peer called and gives up before our answer.
    Cancelled,
    /// The peer called and has acknowledged our 2xx.
    Acknowledged,
    /// The peer called, and our 2xx or a reliable 18x was never acknowledged.
    Unacknowledged,
    /// The peer's PRACK carries the answer to the offer in our 18x.
    ProvisionalAnswered(Box<Message>),
    /// The peer asks for something that its owner has to answer with [`Leg::reply`]: a re-INVITE,
    /// an offer in UPDATE or PRACK, INFO.
    Request(TransactionId),
    /// The peer's re-INVITE is not wanted any more.
    RequestCancelled(TransactionId),
    /// The ACK for our 2xx to the peer's re-INVITE came, or will not come any more (false).
    RequestAcknowledged(TransactionId, bool),
    /// The final response to a request of ours that its owner wanted.
    Response(RequestId),
    /// A request of ours got no answer.
    NoResponse(RequestId),
    /// The peer hangs up.
    Bye(Box<Message>),
    /// The peer is not there any more, or has lost the dialog (SIG-29).
    Gone,
    /// The peer has answered nothing that [`Leg::look_for_life`] has sent.
    NoLife,
}

/// One session with one peer. `U` names the leg in the events of the transactions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Leg<U> {
    owner: U,
    /// Where the peer's messages come from; requests go to [`Leg::next_hop`].
    flow: Flow,
    /// The peer's addresses are not to be believed (SIG-12).
    natted: bool,
    /// User of our Contact towards the peer, escaped (SIG-79).
    contact_user: CompactString,
    manner: Manner,
    login: Option<Box<Login>>,
    /// Whether the peer takes UPDATE; none where it has not said.
    updates: Option<bool>,
    phase: Phase,
    sdp: Negotiation,
    /// Requests of the peer that are not done.
    theirs: Vec<Theirs>,
    /// Requests of ours that are not done.
    ours: Vec<Ours>,
    /// Requests of ours that wait until no other exchange is under way.
    waiting: VecDeque<Ours>,
    last_request: u32,
    timer: SessionTimer,
}

/// How far the session is.
#[derive(Debug, Serialize, Deserialize)]
enum Phase {
    /// The peer's INVITE has no final response of ours.
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
    /// The 2xx to it is not acknowledged: by the peer if it called, by us if we did.
    unacknowledged: bool,
    /// CSeq number of our INVITE.
    cseq: u32,
    /// A BYE that may not be sent before the peer's ACK (RFC 3261 section 15): its Reason.
    bye: Option<CompactString>,
}

impl<U: Copy> Leg<U> {
    /// A leg with nobody at its other end, over from the beginning: whatever is wanted of it has no
    /// effect.
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

    /// Where requests to the peer go; behind a NAT where its packets come from (SIG-12).
    #[must_use]
    pub fn next_hop(&self) -> Flow {
        match self.dialog() {
            Some(dialog) if !self.natted => next_hop(dialog, self.flow, |_, _| None),
            _ => self.flow,
        }
    }

    /// The same with what is known of host names.
    fn hop(&self, wire: &Wire<'_, U>) -> Flow {
        match self.dialog() {
            Some(dialog) if !self.natted => wire.hop(dialog, self.flow),
            _ => self.flow,
        }
    }

    /// The dialog; of several early ones the newest.
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

    /// Whether there is no session and none can come to be.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Whether the peer takes UPDATE (RFC 3311); none where it has not said.
    #[must_use]
    pub fn takes_update(&self) -> Option<bool> {
        self.updates
    }

    /// User of our Contact towards the peer, escaped already.
    pub fn set_contact_user(&mut self, user: &str) {
        self.contact_user = user.into();
    }

    /// Whether a message of the peer belongs to a dialog of this leg.
    #[must_use]
    pub fn owns(&self, message: &Message) -> bool {
        match &self.phase {
            Phase::Called(called) => called.dialog.matches(message),
            Phase::Calling(calling) => calling.owns(message),
            Phase::Up(up) => up.dialog.matches(message),
            Phase::Over => false,
        }
    }

    /// When [`Leg::handle_timeout`] has something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.deadline()
    }

    /// The ACK for our 2xx came.
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

    /// A transaction of the leg ended without what it waited for.
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

    /// The INVITE that the session came of, if it is this transaction.
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

    /// Whether a BYE of ours waits for the peer's ACK.
    #[must_use]
    pub fn waits_to_hang_up(&self) -> bool {
        matches!(&self.phase, Phase::Up(Up { bye: Some(_), .. }))
    }

    /// Whether the peer called and has acknowledged our 2xx, or we called and have.
    #[must_use]
    pub fn is_acknowledged(&self) -> bool {
        matches!(&self.phase, Phase::Up(Up { unacknowledged: false, .. }))
    }

    /// A BYE that waits for an ACK is sent now: the ACK can no longer be heard.
    pub fn hang_up_at_once(&mut self, wire: &mut Wire<'_, U>) {
        self.send_delayed_bye(wire);
    }

    /// Time passed: call it at or after [`Leg::poll_timeout`].
    pub fn handle_timeout(&mut self, wire: &mut Wire<'_, U>) -> Option<LegEvent> {
        let due = self.timer.due(wire.now)?;
        self.on_timer(wire, due)
    }
}

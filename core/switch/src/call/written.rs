//! A call in serialised form, for the machine that continues it. Trunks and accounts are written as
//! ids. The reader looks them up in its own snapshot, or, if that lacks the object, among the
//! objects written beside the calls. Plugins and look-ups are those of the reader.

use super::asking::Asked;
use super::pipeline::{ADMISSION, ATTEMPT, Step, place_of};
use super::{Call, Cx, State};
use crate::facts::{Account, CustomerTrunk, Facts, VendorTrunk};
use ledger::Tab;
use live::Live;
use policy::{Pin, Question};
use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Objects of a snapshot that calls refer to, written beside the calls for a reader whose own
/// snapshot lacks one of them.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Objects {
    customers: BTreeMap<u32, Arc<CustomerTrunk>>,
    vendors: BTreeMap<u32, Arc<VendorTrunk>>,
    accounts: BTreeMap<u32, Arc<Account>>,
}

/// The context in which calls are written and read.
struct Around {
    facts: Arc<Facts>,
    pin: Pin,
    /// Objects met so far while writing, or read from beside the calls.
    objects: Objects,
}

thread_local! {
    static AROUND: RefCell<Option<Around>> = const { RefCell::new(None) };
}

/// Writes or reads calls against a snapshot; calls that are read pin `pin`. Also returns the
/// objects that were met.
pub(crate) fn against<R>(
    facts: &Arc<Facts>,
    pin: &Pin,
    objects: Objects,
    act: impl FnOnce() -> R,
) -> (R, Objects) {
    let around = Around { facts: Arc::clone(facts), pin: pin.clone(), objects };
    let before = AROUND.replace(Some(around));
    let result = act();
    let after = AROUND.replace(before);
    (result, after.map(|around| around.objects).unwrap_or_default())
}

fn look<R>(at: impl FnOnce(&mut Around) -> R) -> Option<R> {
    AROUND.with_borrow_mut(|around| around.as_mut().map(at))
}

/// Serialises one kind of snapshot object by its id.
macro_rules! of_snapshot {
    ($module:ident, $type:ty, $table:ident, $kind:literal) => {
        pub(super) mod $module {
            use super::*;

            pub(in super::super) fn serialize<S: Serializer>(
                object: &Arc<$type>,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                let keep = |around: &mut Around| {
                    let kept = around.objects.$table.entry(object.id);
                    kept.or_insert_with(|| Arc::clone(object));
                };
                look(keep).ok_or_else(|| S::Error::custom("no snapshot"))?;
                object.id.serialize(to)
            }

            /// The object of the reader's snapshot, if it is the same one.
            pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<Arc<$type>, D::Error> {
                let id = u32::deserialize(from)?;
                let found = look(|around| {
                    let written = around.objects.$table.get(&id)?;
                    let known = around.facts.$table.get(&id);
                    let same = known.filter(|known| known.name == written.name);
                    Some(Arc::clone(same.unwrap_or(written)))
                });
                found.flatten().ok_or_else(|| {
                    D::Error::custom(format_args!("{} {id} is not written beside its calls", $kind))
                })
            }
        }
    };
}

of_snapshot!(customer, CustomerTrunk, customers, "customer trunk");
of_snapshot!(vendor, VendorTrunk, vendors, "vendor trunk");
of_snapshot!(account, Account, accounts, "account");

/// The snapshot itself: the reader's.
pub(super) mod facts {
    use super::*;

    pub(in super::super) fn serialize<S: Serializer>(
        _: &Arc<Facts>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_unit()
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Arc<Facts>, D::Error> {
        <()>::deserialize(from)?;
        look(|around| Arc::clone(&around.facts)).ok_or_else(|| D::Error::custom("no snapshot"))
    }
}

/// The plugins: the reader's. Only the notes of the call are written, if there are any.
pub(super) mod pin {
    use super::*;
    use policy::{CallNotes, KeptValue};

    #[derive(Serialize, Deserialize)]
    struct Notes {
        draws: u32,
        kept: Vec<KeptValue>,
    }

    pub(in super::super) fn serialize<S: Serializer>(pin: &Pin, to: S) -> Result<S::Ok, S::Error> {
        let notes = Notes { draws: pin.notes.draws(), kept: pin.notes.kept_at_last() };
        let notes = Some(notes).filter(|notes| notes.draws > 0 || !notes.kept.is_empty());
        notes.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Pin, D::Error> {
        let notes = Option::<Notes>::deserialize(from)?;
        let pin = look(|around| around.pin.for_call());
        let mut pin = pin.ok_or_else(|| D::Error::custom("no plugins"))?;
        if let Some(Notes { draws, kept }) = notes {
            pin.notes = Arc::new(CallNotes::starting_at(draws, kept));
        }
        Ok(pin)
    }
}

/// The awaited attempt, and until when.
pub(super) mod awaited {
    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Written(u16, #[serde(with = "sip::written::moment")] Instant);

    pub(in super::super) fn serialize<S: Serializer>(
        awaited: &Option<(u16, Instant)>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        awaited.map(|(attempt, until)| Written(attempt, until)).serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<(u16, Instant)>, D::Error> {
        let awaited = Option::<Written>::deserialize(from)?;
        Ok(awaited.map(|Written(attempt, until)| (attempt, until)))
    }
}

/// The supervision of a call that is up.
pub(super) mod supervisor {
    use super::*;
    use policy::{Supervisor, SupervisorMoments};

    #[derive(Serialize, Deserialize)]
    struct Written {
        #[serde(with = "sip::written::moment")]
        answered: Instant,
        interval_s: u32,
        next: u32,
        #[serde(with = "sip::written::moment_if_any")]
        due: Option<Instant>,
        #[serde(with = "sip::written::moment")]
        asked: Instant,
        #[serde(with = "sip::written::moment_if_any")]
        limit: Option<Instant>,
    }

    pub(in super::super) fn serialize<S: Serializer>(
        supervisor: &Option<Supervisor>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        let written = supervisor.map(|supervisor| {
            let SupervisorMoments { answered, interval_s, next, due, asked, limit } =
                supervisor.moments();
            Written { answered, interval_s, next, due, asked, limit }
        });
        written.serialize(to)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<Supervisor>, D::Error> {
        let written = Option::<Written>::deserialize(from)?;
        Ok(written.map(|Written { answered, interval_s, next, due, asked, limit }| {
            let moments = SupervisorMoments { answered, interval_s, next, due, asked, limit };
            Supervisor::from(moments)
        }))
    }
}

impl Call {
    /// The call leaves this machine: frees its channels until the next machine takes them.
    pub(crate) fn hand_over(&self, live: &Live) {
        self.leave_channels(live);
        self.tab.iter().flat_map(Tab::held).for_each(|claim| live.purses.release(claim));
    }

    /// The call was read: takes its channels, its table entries and its ports, and asks the open
    /// questions again, because their answers went to another machine.
    pub(crate) fn take_over(&mut self, cx: &mut Cx<'_>) {
        self.pin.notes.set_number(&self.numbers.callee_in);
        self.take_channels_again(cx.live());
        self.enter_payers(cx.core);
        for claim in self.tab.iter().flat_map(Tab::held) {
            cx.live().purses.hold_again(claim);
        }
        cx.core.tags.extend(self.tag.map(|tag| (tag, self.caller.owner())));
        for attempt in &self.attempts {
            if let Some(leg) = &attempt.leg {
                cx.core.tags.insert(attempt.tag, leg.owner());
            }
        }
        let invite = self.invite.clone().filter(|_| self.merge_key.is_some());
        self.merge_key = invite.map(|invite| cx.core.merge_key(self.customer.id, &invite));
        cx.core.callers.extend(self.merge_key);
        self.foreign = false;
        self.note_foreign(cx.core);
        self.reopen_media(cx);
        for asked in std::mem::take(&mut self.asked) {
            self.ask_again(cx, asked);
        }
    }

    fn ask_again(&mut self, cx: &mut Cx<'_>, asked: Asked) {
        let attempt = asked.attempt();
        match (asked.step(), &mut self.state) {
            (step @ (Step::EgressNumber | Step::Identity), State::SettingUp(_)) => {
                self.prepare_from(cx, attempt, place_of(ATTEMPT, step));
            }
            (step @ Step::Advance, State::SettingUp(_)) => {
                if let Some(question) = asked.into_failed() {
                    self.ask(cx, step, attempt, Question::Advance(*question));
                }
            }
            (Step::Supervise, State::Connected(connected)) => {
                if let Some(supervisor) = &mut connected.supervisor {
                    supervisor.ask_again(cx.now.instant);
                }
            }
            (Step::Slice, State::Connected(_)) => self.ask_slice(cx),
            (Step::Charge, State::Closing(..)) => self.ask_charge_again(cx),
            (step, State::SettingUp(_)) => self.admit_from(cx, place_of(ADMISSION, step)),
            _ => {}
        }
    }
}

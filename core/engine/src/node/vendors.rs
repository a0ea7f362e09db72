//! Alarms about codes with which vendors refuse calls (ROUTE-51, SIG-53).

use super::Node;
use super::monitor::Seen;
use crate::alarms::AlarmKind;

impl Node {
    /// Reports refusals since the last check.
    pub(super) fn look_at_vendors(&self, seen: &mut Seen) {
        let world = self.desk.published().load_full();
        for vendor in world.facts.vendors().values() {
            let refusals = self.registry.live().quality.refusals(vendor.id);
            for (kind, codes, now) in [
                (AlarmKind::VendorAuthFailed, "401 or 407", refusals.unauthorized),
                (AlarmKind::PossibleLoop, "482 or 483", refusals.looped),
            ] {
                if now == 0 {
                    continue;
                }
                let before = seen.insert((kind, vendor.name.to_string()), now).unwrap_or_default();
                if now > before {
                    let detail =
                        format!("{now} attempts were refused with {codes} since the start");
                    self.alarms.notice(kind, &vendor.name, detail);
                }
            }
        }
    }
}

//! The transactions that are sending on each flow, so that an unreachable peer ends them without a
//! walk over all others.

use super::Flow;
use foldhash::HashMap;

/// One doubly linked list of slots per flow, held in vectors.
#[derive(Debug, Default)]
pub(super) struct Flows {
    /// First slot of each flow's list.
    heads: HashMap<Flow, u32>,
    /// By slot; `None` means that the slot is in no list.
    links: Vec<Option<Link>>,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: Option<u32>,
    after: Option<u32>,
}

impl Flows {
    /// Adds `slot` to the list of `flow`, unless it is in a list already.
    pub(super) fn join(&mut self, flow: Flow, slot: u32) {
        let index = slot as usize;
        if index >= self.links.len() {
            self.links.resize(index + 1, None);
        }
        if self.links[index].is_some() {
            return;
        }
        let after = self.heads.insert(flow, slot);
        self.links[index] = Some(Link { before: None, after });
        if let Some(next) = after.and_then(|next| self.links[next as usize].as_mut()) {
            next.before = Some(slot);
        }
    }

    /// Removes `slot` from the list of `flow`, if it is there.
    pub(super) fn leave(&mut self, flow: Flow, slot: u32) {
        let Some(Link { before, after }) = self.links.get_mut(slot as usize).and_then(Option::take)
        else {
            return;
        };
        match (before, after) {
            (Some(before), _) => self.link(before, |link| link.after = after),
            (None, Some(after)) => {
                self.heads.insert(flow, after);
            }
            (None, None) => {
                self.heads.remove(&flow);
            }
        }
        if let Some(after) = after {
            self.link(after, |link| link.before = before);
        }
    }

    /// The slots that send on `flow`, newest first.
    pub(super) fn members(&self, flow: Flow) -> Vec<u32> {
        let first = self.heads.get(&flow).copied();
        std::iter::successors(first, |slot| self.links[*slot as usize].and_then(|link| link.after))
            .collect()
    }

    fn link(&mut self, slot: u32, change: impl FnOnce(&mut Link)) {
        if let Some(link) = &mut self.links[slot as usize] {
            change(link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_join_and_leave_in_any_order() {
        let flow = |listener| Flow::datagram(listener, ([192, 0, 2, 1], 5060).into());
        let mut flows = Flows::default();
        for slot in 0..4 {
            flows.join(flow(0), slot);
            flows.join(flow(0), slot);
        }
        flows.join(flow(1), 9);
        assert_eq!(flows.members(flow(0)), [3, 2, 1, 0]);
        flows.leave(flow(0), 2);
        assert_eq!(flows.members(flow(0)), [3, 1, 0]);
        flows.leave(flow(0), 3);
        assert_eq!(flows.members(flow(0)), [1, 0]);
        flows.leave(flow(0), 0);
        flows.leave(flow(0), 0);
        assert_eq!(flows.members(flow(0)), [1]);
        flows.leave(flow(0), 1);
        assert_eq!(flows.members(flow(0)), [0_u32; 0]);
        assert_eq!(flows.members(flow(1)), [9]);
        assert_eq!(flows.heads.len(), 1, "nothing is kept for an idle flow");
    }
}

//! Who claims a name, in the order that decides.

use std::sync::Arc;

use domain::base::iana::Rtype;
use hivemind_core::ids::NodeId;
use imbl::OrdMap;

use super::claims::Source;
use super::rrset::Record;

/// Up to so many claims are kept in place. Most names have one; a map for each would be larger than all of them.
const FEW: usize = 32;

/// Who claims, in the order that decides: what the cluster says before what a host wrote, then the earlier
/// joined, then the smaller id. It says nothing of when a claim arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimant {
    pub(crate) source: Source,
    pub(crate) joined: u64,
    pub(crate) node: NodeId,
}

/// The types of some records, one bit each, so that a claim can be passed over without looking at its records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types(u8);

impl Types {
    const BITS: usize = 8;
    /// The bit of a CNAME.
    pub(crate) const ALIAS: Types = Types(1);

    /// The bit of one type. The rare ones share one.
    pub(crate) fn of(rtype: Rtype) -> Self {
        match rtype {
            Rtype::CNAME => Types::ALIAS,
            Rtype::A => Types(1 << 1),
            Rtype::AAAA => Types(1 << 2),
            Rtype::SRV => Types(1 << 3),
            Rtype::PTR => Types(1 << 4),
            _ => Types(1 << 7),
        }
    }

    /// Whether a type stands alone under its bit.
    pub(crate) fn is_exact(self) -> bool {
        self.0 < 1 << (Self::BITS - 1)
    }

    fn bits(self) -> impl Iterator<Item = usize> {
        (0..Self::BITS).filter(move |bit| self.0 & (1 << bit) != 0)
    }

    pub(crate) fn with(self, other: Types) -> Self {
        Types(self.0 | other.0)
    }

    /// Whether all of these are among `others`.
    pub(crate) fn within(self, others: Types) -> bool {
        self.0 & !others.0 == 0
    }
}

/// A claim on a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) by: Claimant,
    pub(crate) reachable: bool,
    pub(crate) types: Types,
    pub(crate) records: Arc<[Record]>,
}

impl Held {
    pub(crate) fn new(by: Claimant, reachable: bool, records: Arc<[Record]>) -> Self {
        let types = records.iter().fold(Types::default(), |types, record| types.with(Types::of(record.rtype)));
        Held { by, reachable, types, records }
    }

    /// The CNAME's target, where the claim is one.
    pub(crate) fn alias(&self) -> Option<&[u8]> {
        if !Types::ALIAS.within(self.types) {
            return None;
        }
        self.records.iter().find(|record| record.rtype == Rtype::CNAME).map(|record| &record.data[..])
    }

    /// Whether it is an instance of a service.
    pub(crate) fn is_instance(&self) -> bool {
        self.by.source == Source::Service
    }
}

/// The claims on one name, counted, so that most questions about them need no look at each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holders {
    form: Form,
    /// How many claims have records of a type, bit by bit.
    with_type: [u32; Types::BITS],
    /// How many are instances of a service that are reachable.
    reachable: u32,
}

/// Which form the claims have follows from their number alone, so that equal claims are equal.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    /// At most [`FEW`], in order.
    Few(Vec<Held>),
    /// More: a service that half of the cluster offers must not be copied for each change.
    Many(OrdMap<Claimant, Held>),
}

impl Default for Form {
    fn default() -> Self {
        Form::Few(Vec::new())
    }
}

impl Holders {
    /// Adds or replaces a claim.
    pub(crate) fn put(&mut self, held: Held) {
        self.remove(held.by);
        held.types.bits().for_each(|bit| self.with_type[bit] += 1);
        self.reachable += u32::from(held.is_instance() && held.reachable);
        match &mut self.form {
            Form::Few(few) => {
                let at = few.partition_point(|other| other.by < held.by);
                few.insert(at, held);
                if few.len() > FEW {
                    self.form = Form::Many(few.drain(..).map(|held| (held.by, held)).collect());
                }
            }
            Form::Many(many) => drop(many.insert(held.by, held)),
        }
    }

    /// Takes a claim away.
    pub(crate) fn remove(&mut self, by: Claimant) {
        let removed = match &mut self.form {
            Form::Few(few) => few.binary_search_by(|other| other.by.cmp(&by)).ok().map(|at| few.remove(at)),
            Form::Many(many) => many.remove(&by),
        };
        if let Some(held) = removed {
            held.types.bits().for_each(|bit| self.with_type[bit] -= 1);
            self.reachable -= u32::from(held.is_instance() && held.reachable);
        }
        if let Form::Many(many) = &self.form
            && many.len() <= FEW
        {
            self.form = Form::Few(many.values().cloned().collect());
        }
    }

    /// The first claim.
    pub(crate) fn first(&self) -> Option<&Held> {
        match &self.form {
            Form::Few(few) => few.first(),
            Form::Many(many) => many.get_min().map(|(_, held)| held),
        }
    }

    /// Whether some claim is a CNAME.
    pub(crate) fn has_alias(&self) -> bool {
        self.with_type[0] > 0
    }

    /// Whether a reachable instance of a service stands here.
    pub(crate) fn has_reachable_instance(&self) -> bool {
        self.reachable > 0
    }

    /// All types that there are.
    pub(crate) fn types(&self) -> Types {
        Types((0..Types::BITS).filter(|bit| self.with_type[*bit] > 0).fold(0, |bits, bit| bits | 1 << bit))
    }

    /// All claims, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Held> {
        let (few, many) = match &self.form {
            Form::Few(few) => (&few[..], None),
            Form::Many(many) => (&[][..], Some(many)),
        };
        few.iter().chain(many.into_iter().flat_map(|many| many.values()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};

    use super::*;

    fn held(number: u64, kind: u8, reachable: bool) -> Held {
        let by = Claimant {
            source: [Source::Host, Source::Service, Source::Dns][usize::from(kind % 3)],
            joined: 100 - number,
            node: NodeId::new(1, number),
        };
        let rtype = [Rtype::A, Rtype::SRV, Rtype::CNAME, Rtype::TXT][usize::from(kind % 4)];
        Held::new(by, reachable, Arc::from([Record::new(rtype, 5, [kind])]))
    }

    proptest! {
        #[test]
        fn claims_are_the_same_whatever_happened_before(changes in vec((0..60u64, any::<u8>(), any::<bool>(), 0..3u8), 0..200)) {
            let (mut holders, mut model) = (Holders::default(), BTreeMap::new());
            for (number, kind, reachable, change) in changes {
                let held = held(number, kind, reachable);
                if change == 0 {
                    holders.remove(held.by);
                    model.remove(&held.by);
                } else {
                    holders.put(held.clone());
                    model.insert(held.by, held);
                }
            }
            let mut fresh = Holders::default();
            model.values().rev().for_each(|held| fresh.put(held.clone()));
            assert_eq!(holders, fresh);
            assert!(holders.iter().eq(model.values()));
            assert_eq!(holders.first(), model.values().next());
            assert_eq!(holders.has_alias(), model.values().any(|held| held.alias().is_some()));
            assert_eq!(holders.has_reachable_instance(), model.values().any(|held| held.is_instance() && held.reachable));
        }
    }
}

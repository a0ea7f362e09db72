//! References between objects by name: an object exists as long as another refers to it, whoever
//! owns either.

use crate::db::{Connection, Statement, values};
use crate::error::{StoreError, Task};
use crate::objects::{Object, ObjectKind, Ownership, all, find};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

/// A field of a kind that names an object of another kind.
struct Reference {
    from: ObjectKind,
    field: &'static str,
    to: ObjectKind,
    /// Finds an object in use with this value in the field.
    referrer: Statement,
}

macro_rules! reference {
    ($table:literal, $from:ident, $field:literal, $to:ident) => {
        Reference {
            from: ObjectKind::$from,
            field: $field,
            to: ObjectKind::$to,
            referrer: Statement::each(
                concat!(
                    "SELECT name FROM ",
                    $table,
                    " WHERE NOT removed AND json_extract(body, '$.",
                    $field,
                    "') = ? ORDER BY id LIMIT 1"
                ),
                concat!(
                    "SELECT name FROM ",
                    $table,
                    " WHERE NOT removed AND CAST(body AS JSON) ->> '",
                    $field,
                    "' = ? ORDER BY id LIMIT 1"
                ),
            ),
        }
    };
}

static REFERENCES: [Reference; 9] = [
    reference!("account", Account, "deck", Deck),
    reference!("account", Account, "parent", Account),
    reference!("customer_trunk", CustomerTrunk, "account", Account),
    reference!("customer_trunk", CustomerTrunk, "caller_rules", RuleSet),
    reference!("customer_trunk", CustomerTrunk, "callee_rules", RuleSet),
    reference!("vendor_trunk", VendorTrunk, "account", Account),
    reference!("vendor_trunk", VendorTrunk, "caller_rules", RuleSet),
    reference!("vendor_trunk", VendorTrunk, "callee_rules", RuleSet),
    reference!("vendor_trunk", VendorTrunk, "identity_rules", RuleSet),
];

/// The statements, for the test that prepares them all.
#[cfg(test)]
pub(crate) fn statements() -> impl Iterator<Item = &'static Statement> {
    REFERENCES.iter().map(|reference| &reference.referrer)
}

/// Refuses an object with a dangling reference.
pub(crate) async fn are_there(
    connection: &mut Connection,
    kind: ObjectKind,
    name: &str,
    body: &Map<String, Value>,
) -> Result<(), StoreError> {
    for reference in REFERENCES.iter().filter(|reference| reference.from == kind) {
        let Some(wanted) = body.get(reference.field).and_then(Value::as_str) else { continue };
        let found = find(connection, reference.to.table(), wanted).await?;
        let own = (reference.to, wanted) == (kind, name);
        if own || found.is_none_or(|found| found.removed) {
            return Err(dangling(reference, name, wanted));
        }
    }
    Ok(())
}

fn dangling(Reference { from, field, to, .. }: &Reference, name: &str, wanted: &str) -> StoreError {
    StoreError::Refused(format!(
        "{from} {name}: {field} = \"{wanted}\" is refused: there is no such {to}"
    ))
}

/// Refuses an act on an object that others refer to; `refused` says it, such as "is not removed".
pub(crate) async fn none_refers(
    connection: &mut Connection,
    kind: ObjectKind,
    name: &str,
    refused: &str,
) -> Result<(), StoreError> {
    for reference in REFERENCES.iter().filter(|reference| reference.to == kind) {
        let referrer: Option<(String,)> = connection
            .row(&reference.referrer, values![name])
            .await
            .during("looking for references to an object")?;
        if let Some((referrer,)) = referrer {
            return Err(StoreError::Refused(format!(
                "{kind} {name} {refused}: {} {referrer} has it as `{}`",
                reference.from, reference.field
            )));
        }
    }
    Ok(())
}

/// Refuses a folder that would leave a dangling reference: it is consistent in itself, but the API
/// owns some objects.
pub(crate) async fn hold(connection: &mut Connection) -> Result<(), StoreError> {
    let mut objects: HashMap<ObjectKind, Vec<Object>> = HashMap::new();
    for kind in ObjectKind::ALL {
        objects.insert(kind, all(connection, kind.table()).await?);
    }
    let mut every = objects.values().flatten();
    if every.all(|object| object.origin == Ownership::File) {
        return Ok(());
    }
    let used = |kind: ObjectKind| objects[&kind].iter().filter(|object| !object.removed);
    let names: HashMap<ObjectKind, HashSet<&str>> = ObjectKind::ALL
        .map(|kind| (kind, used(kind).map(|object| object.name.as_str()).collect()))
        .into();
    for reference in &REFERENCES {
        for object in used(reference.from) {
            let wanted = object.body.get(reference.field).and_then(Value::as_str);
            if let Some(wanted) = wanted.filter(|wanted| !names[&reference.to].contains(wanted)) {
                return Err(dangling(reference, &object.name, wanted));
            }
        }
    }
    Ok(())
}

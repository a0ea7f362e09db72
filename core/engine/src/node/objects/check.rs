//! Checks a single object: in itself, against the objects that it refers to, and against those with
//! which it could be confused.

use super::{ApiError, Node, refused, store_failed};
use crate::node::start::node_names;
use crate::review;
use business::{
    Account, Business, Currency, CustomerTrunk, Deck, NumberList, RuleSet, VendorTrunk,
};
use ledger::DEEPEST_TREE;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::{Component, Path};
use store::ObjectKind;

impl Node {
    /// The stored form of a number list: a kind, and the path of a file in the business folder
    /// unless the rows are in the database.
    fn list_body(
        &self,
        name: &str,
        list: NumberList,
        before: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, ApiError> {
        good_name(name)?;
        let known = before.and_then(|before| before.get("file")).and_then(Value::as_str);
        if let Some(file) = list.file.as_ref().filter(|file| file.to_str() != known)
            && let Some(problem) = outside(file, self.business_folder().as_deref())
        {
            return Err(ApiError::invalid("file", problem));
        }
        fields(Some(&list))
    }

    /// Checks the fields of an object and returns them in stored form.
    pub(super) async fn checked(
        &self,
        kind: ObjectKind,
        name: &str,
        mut body: Map<String, Value>,
        before: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, ApiError> {
        body.insert("name".to_owned(), Value::from(name));
        if kind == ObjectKind::Deck {
            return deck_body(name, body, before);
        }
        if kind == ObjectKind::NumberList {
            return self.list_body(name, typed(&body)?, before);
        }
        let mut around = Business::default();
        match kind {
            ObjectKind::Account => {
                let account: Account = typed(&body)?;
                let (above, deck) = (account.parent.clone(), account.deck.clone());
                // Before those above it, where a circle would lead back to its old form.
                around.accounts.push(account);
                self.add_parents(&mut around, above).await?;
                self.add_deck(&mut around, deck.as_deref()).await?;
            }
            ObjectKind::CustomerTrunk => {
                let trunk: CustomerTrunk = typed(&body)?;
                if let Some(before) = before {
                    keeps_its_hashes(before, &body)?;
                }
                self.add_account(&mut around, &trunk.account).await?;
                for rules in [&trunk.caller_rules, &trunk.callee_rules] {
                    self.add_rules(&mut around, rules.as_deref()).await?;
                }
                around.customer_trunks = self.sources.beside(&trunk);
                // The last one, so that an address that two trunks have is told of this one.
                around.customer_trunks.push(trunk);
            }
            ObjectKind::VendorTrunk => {
                let trunk: VendorTrunk = typed(&body)?;
                self.add_account(&mut around, &trunk.account).await?;
                for rules in [&trunk.caller_rules, &trunk.callee_rules, &trunk.identity_rules] {
                    self.add_rules(&mut around, rules.as_deref()).await?;
                }
                around.vendor_trunks.push(trunk);
            }
            ObjectKind::RuleSet => around.rule_sets.push(typed(&body)?),
            ObjectKind::Deck | ObjectKind::NumberList | ObjectKind::PluginSettings => {}
        }
        let source = format!("{kind} {name}");
        let around = around.checked(&source, &node_names(&self.config));
        let around = around.map_err(|errors| refused(errors.to_string()))?;
        let reviewed = review::objects(&self.config, self.desk.host(), &around);
        reviewed.map_err(|error| refused(error.to_string()))?;
        match kind {
            ObjectKind::Account => fields(around.accounts.first()),
            ObjectKind::CustomerTrunk => fields(around.customer_trunks.last()),
            ObjectKind::VendorTrunk => fields(around.vendor_trunks.first()),
            _ => fields(around.rule_sets.first()),
        }
    }

    async fn read<T: DeserializeOwned>(
        &self,
        kind: ObjectKind,
        name: &str,
    ) -> Result<Option<T>, ApiError> {
        let found = self.store.object(kind, name).await.map_err(store_failed)?;
        let found = found.filter(|object| !object.removed);
        found.map(|object| typed_as(kind, &object.body)).transpose()
    }

    /// Adds the accounts above, each with its deck: one level more than is allowed, for the check
    /// to find.
    async fn add_parents(
        &self,
        around: &mut Business,
        mut next: Option<String>,
    ) -> Result<(), ApiError> {
        for _ in 0..=DEEPEST_TREE {
            // A circle shows in the check.
            let fresh = |name: &String| around.accounts.iter().all(|known| known.name != *name);
            let Some(name) = next.take().filter(fresh) else { return Ok(()) };
            let parent = self.read::<Account>(ObjectKind::Account, &name).await?;
            let parent = parent.ok_or_else(|| dangling("parent", ObjectKind::Account, &name))?;
            self.add_deck(around, parent.deck.as_deref()).await?;
            next.clone_from(&parent.parent);
            around.accounts.push(parent);
        }
        Ok(())
    }

    async fn add_account(&self, around: &mut Business, name: &str) -> Result<(), ApiError> {
        let account = self.read::<Account>(ObjectKind::Account, name).await?;
        let account = account.ok_or_else(|| dangling("account", ObjectKind::Account, name))?;
        self.add_deck(around, account.deck.as_deref()).await?;
        let above = account.parent.clone();
        around.accounts.push(account);
        self.add_parents(around, above).await
    }

    async fn add_deck(&self, around: &mut Business, name: Option<&str>) -> Result<(), ApiError> {
        let Some(name) = name.filter(|name| around.decks.iter().all(|deck| deck.name != *name))
        else {
            return Ok(());
        };
        let found = self.store.object(ObjectKind::Deck, name).await.map_err(store_failed)?;
        let object = found.filter(|object| !object.removed);
        let object = object.ok_or_else(|| dangling("deck", ObjectKind::Deck, name))?;
        let currency = currency(&object.body)?;
        around.decks.push(Deck { name: name.to_owned(), currency, rows: Vec::new() });
        Ok(())
    }

    async fn add_rules(&self, around: &mut Business, name: Option<&str>) -> Result<(), ApiError> {
        let Some(name) = name.filter(|name| around.rule_sets.iter().all(|set| set.name != *name))
        else {
            return Ok(());
        };
        let set: Option<RuleSet> = self.read(ObjectKind::RuleSet, name).await?;
        let set = set.ok_or_else(|| dangling("rules", ObjectKind::RuleSet, name))?;
        around.rule_sets.push(set);
        Ok(())
    }
}

/// A field that names an object which does not exist.
fn dangling(field: &str, kind: ObjectKind, name: &str) -> ApiError {
    refused(format!("{field} = \"{name}\": no such {kind}"))
}

fn typed<T: DeserializeOwned>(body: &Map<String, Value>) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(Value::Object(body.clone())).map_err(|error| {
        let field = error.path().to_string();
        ApiError::invalid(&field, error.into_inner().to_string())
    })
}

pub(super) fn typed_as<T: DeserializeOwned>(
    kind: ObjectKind,
    body: &Map<String, Value>,
) -> Result<T, ApiError> {
    typed(body).map_err(|error| ApiError::internal(format!("a stored {kind}: {error}")))
}

fn fields<T: Serialize>(object: Option<&T>) -> Result<Map<String, Value>, ApiError> {
    match serde_json::to_value(object) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(ApiError::internal("an object has no fields")),
        Err(error) => Err(ApiError::internal(error.to_string())),
    }
}

pub(super) fn currency(body: &Map<String, Value>) -> Result<Currency, ApiError> {
    let text = body.get("currency").and_then(Value::as_str).unwrap_or_default();
    Currency::try_from(text.to_owned()).map_err(|problem| ApiError::invalid("currency", problem))
}

/// The stored form of a deck: a currency; rows are changed separately.
fn deck_body(
    name: &str,
    body: Map<String, Value>,
    before: Option<&Map<String, Value>>,
) -> Result<Map<String, Value>, ApiError> {
    for field in body.keys() {
        if !matches!(field.as_str(), "name" | "currency" | "rows" | "digest") {
            let detail = "a deck has `currency`; its rows are changed by PATCH .../rows";
            return Err(ApiError::invalid(field, detail));
        }
    }
    let currency = String::from(currency(&body)?);
    if let Some(before) = before {
        if before.get("currency").and_then(Value::as_str) != Some(&currency) {
            let detail = "the prices of its rows are in it; make another deck";
            return Err(ApiError::invalid("currency", detail));
        }
        return Ok(before.clone());
    }
    good_name(name)?;
    let fields = [
        ("currency", Value::from(currency)),
        ("rows", Value::from(0)),
        ("digest", Value::from("")),
    ];
    Ok(fields.map(|(field, value)| (field.to_owned(), value)).into_iter().collect())
}

/// The problem with `file` as a number file named over the API: it is not in the business folder.
/// Errors of number files quote their lines, so other files of the node must stay closed.
fn outside(file: &Path, folder: Option<&Path>) -> Option<String> {
    let Some(folder) = folder else {
        return Some("the node file has no `business` folder, so rows are kept by the API".into());
    };
    let wanted = || {
        let (folder, file) = (folder.display(), file.display());
        Some(format!("expected the absolute path of a file in {folder}, not {file}"))
    };
    let plain = file.components().all(|part| part != Component::ParentDir);
    let (Ok(real), Ok(inside)) = (file.canonicalize(), folder.canonicalize()) else {
        // Whether a file outside the folder exists is not told.
        let named_inside = plain && file.starts_with(folder);
        return if named_inside { None } else { wanted() };
    };
    if file.is_absolute() && real.starts_with(inside) { None } else { wanted() }
}

fn good_name(name: &str) -> Result<(), ApiError> {
    business::check_name(name).map_err(|problem| ApiError::invalid("name", problem))
}

/// Refuses another user or realm without a password: the stored hashes contain both (RFC 7616).
fn keeps_its_hashes(
    before: &Map<String, Value>,
    body: &Map<String, Value>,
) -> Result<(), ApiError> {
    let given = |field: &str| body.get(field).filter(|value| !value.is_null());
    let known = |field: &str| before.get(field).filter(|value| !value.is_null());
    let hashes = ["ha1_md5", "ha1_sha256"];
    let kept = hashes.iter().any(|hash| given(hash).is_some() && given(hash) == known(hash));
    let renamed = ["user", "realm"].into_iter().find(|field| given(field) != known(field));
    match renamed {
        Some(field) if kept && given("password").is_none() => {
            let detail = "the stored hashes are those of the old user and realm: give the password";
            Err(ApiError::invalid(field, detail))
        }
        _ => Ok(()),
    }
}

/// Refuses other values of fields that an object keeps.
pub(super) fn keeps(
    field: &str,
    asked: &Map<String, Value>,
    kept: Option<&Value>,
    why: &str,
) -> Result<(), ApiError> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match (asked.get(field).filter(|value| !value.is_null()), kept) {
        (Some(asked), kept) if kept.map(text) != Some(text(asked)) => {
            Err(ApiError::invalid(field, why))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::outside;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn number_files_of_the_api_are_in_the_business_folder() {
        let top = std::env::temp_dir().join(format!("strowger-lists-{}", std::process::id()));
        let folder = top.join("business");
        fs::create_dir_all(&folder).expect("writable");
        for file in ["business/good.csv", "secret.csv"] {
            fs::write(top.join(file), "number\n").expect("writable");
        }
        symlink(top.join("secret.csv"), folder.join("link.csv")).expect("writable");
        let problem = |file: &Path| outside(file, Some(&folder));
        assert_eq!(problem(&folder.join("good.csv")), None);
        assert_eq!(problem(&folder.join("missing.csv")), None, "reading it says so");
        for file in ["secret.csv", "business/../secret.csv", "business/link.csv", "missing.csv"] {
            let told = problem(&top.join(file)).expect(file);
            assert!(told.starts_with("expected the absolute path of a file in "), "{told}");
        }
        assert!(problem(Path::new("good.csv")).is_some());
        assert!(outside(&folder.join("good.csv"), None).is_some());
        fs::remove_dir_all(&top).expect("removable");
    }
}

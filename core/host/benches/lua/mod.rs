//! The same decisions in LuaJIT: questions become tables, answers come back as tables.

use crate::shared::RULE_TEXT;
use mlua::{Function, Lua, Result, Table};
use policy::{
    Answer, Charge, HeaderMode, IdentityAnswer, NumberAnswer, PrivacyMode, Question, Stage, Verdict,
};
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The loaded script.
pub(crate) struct Policies {
    lua: Lua,
    screening: Function,
    numbering: Function,
    rating: Function,
    routing: Function,
    identity: Function,
}

impl Policies {
    /// Loads the script with the host services it needs: empty lists, one rule set, counters.
    pub(crate) fn load() -> Result<Policies> {
        let lua = Lua::new();
        let host = lua.create_table()?;
        host.set("text", lua.create_function(|_, _handle: u64| Ok(RULE_TEXT))?)?;
        let empty =
            |_: &Lua, (_list, _number): (mlua::BorrowedStr, mlua::BorrowedStr)| Ok(None::<u32>);
        host.set("longest_prefix", lua.create_function(empty)?)?;
        let counters: Rc<RefCell<HashMap<String, u64>>> = Rc::default();
        let read = Rc::clone(&counters);
        let count = move |_: &Lua, (key, _window): (mlua::BorrowedStr, u32)| {
            Ok(read.borrow().get(&*key).copied().unwrap_or(0))
        };
        host.set("count", lua.create_function(count)?)?;
        let add = move |_: &Lua, (key, _window, amount): (mlua::BorrowedStr, u32, u64)| {
            let mut counters = counters.borrow_mut();
            if let Some(sum) = counters.get_mut(&*key) {
                *sum += amount;
                return Ok(1);
            }
            counters.insert(key.to_string(), amount);
            Ok(1)
        };
        host.set("add", lua.create_function(add)?)?;
        lua.globals().set("host", host)?;
        let policies: Table = lua.load(include_str!("policies.lua")).eval()?;
        let function = |name: &str| policies.get(name);
        Ok(Policies {
            screening: function("screening")?,
            numbering: function("numbering")?,
            rating: function("rating")?,
            routing: function("routing")?,
            identity: function("identity")?,
            lua,
        })
    }

    /// The script's answer to a question.
    pub(crate) fn ask(&self, question: &Question) -> Result<Answer> {
        let table = |size| self.lua.create_table_with_capacity(0, size);
        Ok(match question {
            Question::Screen(screen) => {
                let asked = table(4)?;
                asked.raw_set("account", screen.call.account)?;
                asked.raw_set("caller", screen.caller.as_str())?;
                asked.raw_set("callee", screen.callee.as_str())?;
                asked.raw_set("source", screen.source.as_str())?;
                match self.screening.call::<u16>(asked)? {
                    0 => Answer::Screen(Verdict::Allow),
                    code => return Err(mlua::Error::runtime(format!("refused with {code}"))),
                }
            }
            Question::Number(number) => {
                let asked = table(8)?;
                asked.raw_set("egress", number.stage == Stage::Egress)?;
                asked.raw_set("caller", number.caller.as_str())?;
                asked.raw_set("callee", number.callee.as_str())?;
                asked.raw_set("identity", number.identity.as_str())?;
                asked.raw_set("caller_rules", number.caller_rules)?;
                asked.raw_set("callee_rules", number.callee_rules)?;
                asked.raw_set("identity_rules", number.identity_rules)?;
                asked.raw_set("tech_prefix", number.tech_prefix.as_str())?;
                let answer: Table = self.numbering.call(asked)?;
                Answer::Number(Ok(NumberAnswer {
                    caller: text(&answer, "caller")?,
                    callee: text(&answer, "callee")?,
                    identity: text(&answer, "identity")?,
                    ..NumberAnswer::default()
                }))
            }
            Question::Rate(rate) => {
                let (row, rounding) = (&rate.row, &rate.rounding);
                let (amount, billed_seconds): (f64, u32) = self.rating.call((
                    rate.duration_ms,
                    row.price_first,
                    row.price_next,
                    row.connect_fee,
                    row.first_increment_s,
                    row.next_increment_s,
                    row.free_seconds,
                    row.minimum_charge,
                    rounding.unit_ms,
                    rounding.mode as u8,
                    rounding.decimals,
                    rounding.fee_unit,
                ))?;
                Answer::Rate(Charge { amount: amount as i64, billed_seconds })
            }
            Question::Route(route) => {
                let candidates = self.lua.create_table_with_capacity(route.candidates.len(), 0)?;
                for (index, candidate) in route.candidates.iter().enumerate() {
                    let row = table(11)?;
                    row.raw_set("trunk", candidate.trunk)?;
                    row.raw_set("prefix_length", candidate.prefix_length)?;
                    row.raw_set("prefix_priority", candidate.prefix_priority)?;
                    row.raw_set("extend", candidate.extend)?;
                    row.raw_set("priority", candidate.priority)?;
                    row.raw_set("weight", candidate.weight)?;
                    row.raw_set("last_resort", candidate.last_resort)?;
                    row.raw_set("active", candidate.active)?;
                    row.raw_set("channels", candidate.channels)?;
                    row.raw_set("calls_today", candidate.calls_today)?;
                    row.raw_set("buy_price", candidate.buy_price)?;
                    candidates.raw_set(index + 1, row)?;
                }
                let asked = table(4)?;
                asked.raw_set("caller", route.caller.as_str())?;
                asked.raw_set("callee", route.callee.as_str())?;
                asked.raw_set("sell_price", route.sell_price)?;
                asked.raw_set("candidates", candidates)?;
                Answer::Route(Ok(self.routing.call(asked)?))
            }
            Question::Identity(identity) => {
                let modes = &identity.modes;
                let asked = table(10)?;
                asked.raw_set("caller_out", identity.caller_out.as_str())?;
                asked.raw_set("identity_out", identity.identity_out.as_str())?;
                asked.raw_set("display", identity.display.as_str())?;
                asked.raw_set("host", identity.host.as_str())?;
                asked.raw_set("privacy", identity.privacy.as_str())?;
                asked.raw_set("private", identity.private)?;
                asked.raw_set("source_trusted", identity.source_trusted)?;
                asked.raw_set("target_trusted", identity.target_trusted)?;
                asked.raw_set("asserted", header_mode(modes.asserted))?;
                asked.raw_set("privacy_mode", privacy_mode(modes.privacy))?;
                let answer: Table = self.identity.call(asked)?;
                let flat: Vec<String> = answer.raw_get("headers")?;
                let pairs = flat.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
                Answer::Identity(Ok(IdentityAnswer {
                    display: text(&answer, "display")?,
                    user: text(&answer, "user")?,
                    host: text(&answer, "host")?,
                    headers: pairs.collect(),
                }))
            }
            _ => return Err(mlua::Error::runtime("not asked here")),
        })
    }
}

fn header_mode(mode: HeaderMode) -> &'static str {
    match mode {
        HeaderMode::None => "none",
        HeaderMode::Pass => "pass",
        HeaderMode::Caller => "caller",
        HeaderMode::Fixed => "fixed",
    }
}

fn privacy_mode(mode: PrivacyMode) -> &'static str {
    match mode {
        PrivacyMode::None => "none",
        PrivacyMode::Pass => "pass",
        PrivacyMode::Id => "id",
    }
}

fn text(answer: &mlua::Table, name: &str) -> mlua::Result<policy::Text> {
    let value: mlua::BorrowedStr = answer.raw_get(name)?;
    Ok((&*value).into())
}

//! Settings of the plugin.

use serde::Deserialize;

/// Most numbers in all pools together: an answer looks at each number of one pool at most once and
/// must be ready within its deadline.
const NUMBERS: usize = 1_000;

/// Settings; the default is no pool.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Pools; each may serve any number of vendor trunks.
    pub pools: Vec<Pool>,
}

/// A pool of caller numbers.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// Value of the attribute `caller_pool` of a vendor trunk.
    pub name: String,
    /// Numbers, and ranges such as `4930200-4930299`; at most 1,000 numbers in all pools.
    pub numbers: Vec<String>,
    /// Choice among free numbers. Default `random`.
    #[serde(default)]
    pub order: Order,
    /// Calls that may use a number at a time, 1 to 1,000; 0, the default, means no limit.
    #[serde(default)]
    pub limit: u32,
    /// Result when all numbers are used. Default `next`.
    #[serde(default)]
    pub when_full: WhenFull,
}

/// Choice among free numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Any.
    #[default]
    Random,
    /// In turn; each signalling thread has its own turns.
    RoundRobin,
    /// The number with the fewest calls now.
    LeastUsed,
    /// The same number for a callee, while it is free.
    StickyCallee,
    /// The same number for an original caller, while it is free.
    StickyCaller,
}

/// Result when all numbers of a pool are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The vendor trunk counts as full (`pool_exhausted`): the next trunk is tried.
    #[default]
    Next,
    /// The caller is unchanged.
    Original,
}

impl Config {
    /// The pools with their ranges expanded.
    pub(crate) fn expand(self) -> Result<Vec<Pool>, String> {
        let mut pools: Vec<Pool> = Vec::with_capacity(self.pools.len());
        for (at, mut pool) in self.pools.into_iter().enumerate() {
            let wrong =
                |field: &str, why: String| Err(format!("field `pools[{at}].{field}`: {why}"));
            if pool.name.is_empty() || pools.iter().any(|other| other.name == pool.name) {
                return wrong("name", "every pool needs a name of its own".to_owned());
            }
            if pool.limit > 1_000 {
                return wrong("limit", format!("{} calls; allowed is 0 to 1000", pool.limit));
            }
            let mut numbers = Vec::new();
            for entry in &pool.numbers {
                match numbers_of(entry) {
                    Ok(more) => numbers.extend(more),
                    Err(why) => return wrong("numbers", why),
                }
            }
            if numbers.is_empty() {
                return wrong("numbers", "the pool is empty".to_owned());
            }
            pool.numbers = numbers;
            pools.push(pool);
        }
        match pools.iter().map(|pool| pool.numbers.len()).sum::<usize>() {
            0..=NUMBERS => Ok(pools),
            sum => Err(format!("field `pools`: {sum} numbers in all; at most {NUMBERS}")),
        }
    }
}

impl Pool {
    /// Key of the places that calls hold on a number.
    pub(crate) fn key(&self, number: &str) -> String {
        format!("{}/{number}", self.name)
    }
}

/// A single number, or all numbers of a range, both ends included.
fn numbers_of(entry: &str) -> Result<Vec<String>, String> {
    let digits = |text: &str| {
        (1..=18).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let Some((first, last)) = entry.split_once('-') else {
        return if digits(entry.strip_prefix('+').unwrap_or(entry)) {
            Ok(vec![entry.to_owned()])
        } else {
            Err(format!("`{entry}` is no number of 1 to 18 digits"))
        };
    };
    let ends = (first.parse::<u64>(), last.parse::<u64>());
    match ends {
        (Ok(from), Ok(to)) if digits(first) && first.len() == last.len() && from <= to => {
            if to - from >= NUMBERS as u64 {
                return Err(format!("`{entry}` has more than {NUMBERS} numbers"));
            }
            let width = first.len();
            Ok((from..=to).map(|number| format!("{number:0width$}")).collect())
        }
        _ => Err(format!("`{entry}` is no range of two numbers of one length in their order")),
    }
}

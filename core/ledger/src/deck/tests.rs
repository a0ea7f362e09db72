use super::*;
use crate::Money;
use crate::dice::Dice;

fn row(prefix: &str, price: i128, valid_from_ms: u64) -> RateRow {
    RateRow {
        prefix: prefix.into(),
        destination: "somewhere".into(),
        price: PriceRow { price_first: Money(price), ..PriceRow::default() },
        valid_from_ms,
        valid_to_ms: None,
        blocked: false,
    }
}

fn deck(rows: impl IntoIterator<Item = RateRow>) -> RateDeck {
    RateDeck::from_rows("retail", "EUR", rows).unwrap()
}

fn price(lookup: RateLookup<'_>) -> Option<i128> {
    match lookup {
        RateLookup::Found(row) => Some(row.price.price_first.0),
        RateLookup::Blocked | RateLookup::None => None,
    }
}

#[test]
fn bill_02_the_longest_prefix_prices_and_the_empty_prefix_is_the_default() {
    let deck = deck([row("", 9, 0), row("44", 2, 0), row("447", 5, 0)]);
    assert_eq!(price(deck.find("44770090", 1)), Some(5));
    assert_eq!(price(deck.find("4420", 1)), Some(2));
    assert_eq!(price(deck.find("33", 1)), Some(9));
    let RateLookup::Found(row) = deck.find("44770090", 1) else { panic!("447 has a price") };
    assert_eq!((row.prefix, &**row.destination), ("447", "somewhere"));
}

#[test]
fn bill_03_the_latest_row_in_force_wins() {
    let deck = deck([
        row("4", 1, 0),
        row("44", 3, 200),
        row("44", 2, 100),
        RateRow { valid_to_ms: Some(400), ..row("44", 7, 300) },
    ]);
    assert_eq!(price(deck.find("44", 99)), Some(1), "no row of 44 is in force yet");
    assert_eq!(price(deck.find("44", 100)), Some(2));
    assert_eq!(price(deck.find("44", 200)), Some(3));
    assert_eq!(price(deck.find("44", 399)), Some(7));
    assert_eq!(price(deck.find("44", 400)), Some(3), "the expired row gives way");
}

#[test]
fn bill_04_a_blocked_row_hides_the_price_of_a_shorter_prefix() {
    let deck = deck([row("44", 2, 0), RateRow { blocked: true, ..row("447", 0, 0) }]);
    assert_eq!(deck.find("4477", 1), RateLookup::Blocked);
    assert_eq!(deck.find("1", 1), RateLookup::None, "BILL-05");
}

#[test]
fn an_amount_beyond_64_bits_is_refused() {
    let beyond = || row("44", i128::from(i64::MAX) + 1, 0);
    let refused = DeckError::Amount { prefix: "44".into() };
    assert_eq!(RateDeck::from_rows("a", "EUR", [beyond()]).unwrap_err(), refused);
    let deck = deck([row("44", i64::MAX.into(), 0)]);
    assert_eq!(deck.with([RowChange::Put(beyond())]).unwrap_err(), refused);
    assert_eq!(price(deck.find("44", 0)), Some(i64::MAX.into()));
}

#[test]
fn rows_come_in_one_order_however_they_were_added() {
    let rows = [row("", 1, 0), row("4", 2, 5), row("4", 3, 9), row("44", 4, 0), row("5", 5, 0)];
    assert!(deck(rows.clone()).rows().eq(rows.clone()));
    assert!(deck(rows.clone().into_iter().rev()).rows().eq(rows.clone()));
    assert_eq!(deck(rows.clone()).rows_of("4"), rows[1..3]);
    assert!(deck(rows).rows_of("9").is_empty());
}

/// A deck as a list of rows, searched in full.
#[derive(Clone, Default)]
struct Naive(Vec<RateRow>);

impl Naive {
    fn find(&self, number: &str, at_ms: u64) -> Option<&RateRow> {
        let in_force = |row: &&RateRow| {
            number.starts_with(row.prefix.as_str())
                && row.valid_from_ms <= at_ms
                && row.valid_to_ms.is_none_or(|end| at_ms < end)
        };
        // Among equal rows the last one added.
        self.0.iter().filter(in_force).max_by_key(|row| (row.prefix.len(), row.valid_from_ms))
    }

    fn change(&mut self, change: &RowChange) {
        let (prefix, from) = match change {
            RowChange::Put(row) => (&row.prefix, row.valid_from_ms),
            RowChange::Remove { prefix, valid_from_ms } => (prefix, *valid_from_ms),
        };
        self.0.retain(|row| row.prefix != *prefix || row.valid_from_ms != from);
        if let RowChange::Put(row) = change {
            self.0.push(row.clone());
        }
    }

    /// In the order of [`RateDeck::rows`]: for digits alone, the order of their text.
    fn rows(&self) -> Vec<RateRow> {
        let mut rows = self.0.clone();
        rows.sort_by(|a, b| (&a.prefix, a.valid_from_ms).cmp(&(&b.prefix, b.valid_from_ms)));
        rows
    }
}

/// Short prefixes of few digits, and few instants, so that rows collide.
fn random_row(dice: &mut Dice) -> RateRow {
    let price = i128::from(dice.roll(50));
    let valid_from_ms = 10 * dice.roll(4);
    RateRow {
        prefix: dice.text(b"012", 0..=4).as_str().into(),
        destination: format!("place {}", dice.roll(5)).into(),
        price: PriceRow {
            price_first: Money(price),
            price_next: Money(i128::from(dice.roll(3))),
            connect_fee: Money(i128::from(dice.roll(2))),
            first_increment_s: dice.roll(3) as u32,
            next_increment_s: dice.roll(3) as u32,
            free_seconds: dice.roll(3) as u32,
            minimum_charge: Money(i128::from(dice.roll(2))),
        },
        valid_from_ms,
        valid_to_ms: (dice.roll(2) == 0).then(|| valid_from_ms + 1 + dice.roll(30)),
        blocked: dice.roll(5) == 0,
    }
}

fn agrees(deck: &RateDeck, naive: &Naive, dice: &mut Dice) {
    assert_eq!((deck.len(), deck.is_empty()), (naive.0.len(), naive.0.is_empty()));
    assert_eq!(deck.rows().collect::<Vec<_>>(), naive.rows());
    for _ in 0..40 {
        let (number, at_ms) = (dice.text(b"0123", 0..=6), dice.roll(60));
        match (deck.find(&number, at_ms), naive.find(&number, at_ms)) {
            (RateLookup::None, None) => {}
            (RateLookup::Blocked, Some(row)) => assert!(row.blocked, "{number} at {at_ms}"),
            (RateLookup::Found(found), Some(row)) => {
                assert!(!row.blocked, "{number} at {at_ms}");
                assert_eq!((found.prefix, found.price), (row.prefix.as_str(), row.price));
                assert_eq!(found.destination, &row.destination);
            }
            (found, row) => panic!("{number} at {at_ms}: {found:?}, expected {row:?}"),
        }
    }
}

#[test]
fn agrees_with_a_naive_deck_while_it_changes() {
    for seed in 1..=30 {
        let mut dice = Dice(0x9E37_79B9_7F4A_7C15 ^ seed);
        let mut naive = Naive::default();
        // Includes several rows with one prefix and instant.
        naive.0.extend((0..dice.roll(60)).map(|_| random_row(&mut dice)));
        let mut deck = deck(naive.0.clone());
        agrees(&deck, &naive, &mut dice);
        for round in 0..60 {
            let changes: Vec<RowChange> = (0..1 + dice.roll(3))
                .map(|_| match (dice.roll(2), random_row(&mut dice)) {
                    (0, row) => RowChange::Put(row),
                    (_, RateRow { prefix, valid_from_ms, .. }) => {
                        RowChange::Remove { prefix, valid_from_ms }
                    }
                })
                .collect();
            let (before, naive_before) = (deck.clone(), naive.clone());
            deck = deck.with(changes.clone()).unwrap();
            changes.iter().for_each(|change| naive.change(change));
            if round % 20 == 19 {
                deck = deck.fold();
            }
            agrees(&deck, &naive, &mut dice);
            agrees(&before, &naive_before, &mut dice);
        }
    }
}

/// However often one row changes, little memory is kept for it.
#[test]
fn a_fold_pays_also_after_many_changes_of_one_row() {
    let mut deck = deck([row("44", 1, 0), row("45", 1, 0)]);
    let changes = |deck: &RateDeck, n| deck.with([RowChange::Put(row("44", n, 0))]).unwrap();
    let count = (1..).take_while(|n| {
        deck = changes(&deck, *n);
        !deck.needs_fold()
    });
    assert!((1000..2000).contains(&count.count()));
    let folded = deck.fold();
    assert!(!folded.needs_fold() && folded.rows().eq(deck.rows()));
}

use super::*;
use std::net::Ipv4Addr;

fn source(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + number))
}

/// SEC-22
#[test]
fn a_source_has_a_budget_and_a_flood_is_locked_out() {
    let (strangers, start) = (Strangers::default(), Instant::now());
    let one = source(1);
    let admitted = |at: Instant| strangers.admits(one, at) == Admission::Stranger;
    assert_eq!((0..100).filter(|_| admitted(start)).count(), 20);
    // The 80 excess packets count as requests without success.
    let later = start + Duration::from_secs(3599);
    assert_eq!((0..100).filter(|_| admitted(later)).count(), 2, "locked out for an hour");
    let lockouts = strangers.lockouts(later);
    assert_eq!((lockouts.len(), lockouts[0].cause), (1, "flood"));
    assert!(admitted(later + Duration::from_secs(2)));
    assert_eq!(strangers.admits(source(2), start), Admission::Stranger, "others are not");
}

/// SEC-22: a flood may use a forged address; a user who is really there still gets in, and that
/// ends the lockout.
#[test]
fn a_flood_in_its_name_keeps_no_user_out() {
    let (strangers, start) = (Strangers::default(), Instant::now());
    let one = source(1);
    for _ in 0..1000 {
        strangers.admits(one, start);
    }
    assert_eq!(strangers.lockouts(start).len(), 1);
    let now = start + Duration::from_secs(2);
    assert_eq!([(); 2].map(|()| strangers.admits(one, now)), [Admission::Stranger; 2]);
    strangers.proven(one, "anna", now);
    assert_eq!(strangers.lockouts(now), []);
    assert_eq!(strangers.admits(one, now), Admission::Proven);
    // But the address is not good for reflection.
    let challenged = (0..6000).filter(|_| strangers.may_be_challenged(one, now)).count();
    assert_eq!(challenged, 200);
}

/// SEC-01
#[test]
fn wrong_passwords_lock_the_pair_and_then_the_source_out_ever_longer() {
    let (strangers, start) = (Strangers::default(), Instant::now());
    let one = source(1);
    strangers.admits(one, start);
    let mut now = start;
    for repeat in 0..7 {
        for _ in 0..FAILURES_OF_PAIR {
            assert!(!strangers.is_locked(one, "anna", now));
            strangers.failed(one, "anna", true, now);
        }
        let long = FIRST_LOCKOUT * [1, 2, 4, 8, 16, 20, 20][repeat];
        assert!(strangers.is_locked(one, "anna", now + long - Duration::from_millis(1)));
        assert!(!strangers.is_locked(one, "bert", now), "only that user");
        now += long;
    }
    assert_eq!(strangers.admits(one, now), Admission::Stranger, "a known source is not");
    for user in 0..FAILURES_OF_SOURCE {
        strangers.failed(one, &format!("user{user}"), false, now);
    }
    assert_eq!(strangers.admits(one, now), Admission::Refused);
    assert_eq!(strangers.unlock(one, now), 1);
    assert_eq!(strangers.admits(one, now), Admission::Stranger);
}

/// SEC-01: made-up names do not take the places of real users.
#[test]
fn names_that_do_not_exist_hide_no_guesses() {
    let (strangers, now) = (Strangers::default(), Instant::now());
    let guesser = source(1);
    for number in 0..5000 {
        strangers.failed(guesser, &format!("made-up{number}"), true, now);
    }
    let mut looked_at = 0;
    for _ in 0..100 {
        if !strangers.is_locked(guesser, "anna", now) {
            looked_at += 1;
            strangers.failed(guesser, "anna", true, now);
        }
    }
    assert!(looked_at <= FAILURES_OF_PAIR, "{looked_at}");
    let pairs = |part: &Mutex<Part>| part.lock().expect("no panic").pairs.len();
    assert!(strangers.parts.iter().map(pairs).sum::<usize>() <= USERS_OF_SOURCE);
    let others = strangers.lockouts(now);
    assert!(others.iter().any(|lockout| lockout.user.as_deref() == Some(OTHERS)), "{others:?}");
    assert!(!strangers.is_locked(source(2), "anna", now), "there only");
    // A user with a pair is counted separately; all lockouts are listed and can be ended.
    strangers.failed(guesser, "made-up1", true, now);
    assert!(!strangers.is_locked(guesser, "made-up1", now));
    let told: u64 = strangers.summary(now).iter().map(|report| report.failures).sum();
    assert!(told >= 5000, "{told}");
    assert!(strangers.unlock(guesser, now) >= 1);
    assert!(!strangers.is_locked(guesser, "anna", now));
}

/// SEC-01: occasional failures lock nobody out, and a success clears them.
#[test]
fn who_is_right_in_the_end_is_not_locked_out() {
    let (strangers, start) = (Strangers::default(), Instant::now());
    for minute in 0..50 {
        strangers.failed(source(1), "anna", false, start + MINUTE * minute / 5);
    }
    assert!(!strangers.is_locked(source(1), "anna", start + MINUTE * 10));
    let now = start + MINUTE * 20;
    strangers.admits(source(1), now);
    for _ in 0..5 {
        strangers.failed(source(1), "anna", false, now);
    }
    strangers.proven(source(1), "anna", now);
    strangers.failed(source(1), "anna", false, now);
    assert!(!strangers.is_locked(source(1), "anna", now));
    assert_eq!(strangers.admits(source(1), now), Admission::Proven);
    assert_eq!(strangers.admits(source(1), now + HOUR), Admission::Stranger);
}

/// SEC-27: the table is bounded for any addresses and names.
#[test]
fn the_table_is_bounded_and_the_rest_shares_one_budget() {
    let (strangers, start) = (Strangers::default(), Instant::now());
    let mut admitted = 0_u32;
    for number in 0..200_000 {
        let admission = strangers.admits(source(number), start);
        admitted += u32::from(admission == Admission::Stranger);
        strangers.failed(source(number), &format!("{number:080}"), false, start);
    }
    let (sources, pairs) = strangers.parts.iter().fold((0, 0), |(sources, pairs), part| {
        let part = part.lock().expect("no panic");
        (sources + part.sources.len(), pairs + part.pairs.len())
    });
    assert!(sources <= PARTS * SOURCES && pairs <= PARTS * PAIRS, "{sources} {pairs}");
    assert_eq!(admitted, u32::try_from(PARTS * SOURCES + PARTS * 20).expect("few"));
    let reports = strangers.summary(start);
    assert!(reports.len() <= LINES + 1, "{}", reports.len());
    strangers.summary(start + HOUR * 3);
    let left = |part: &Mutex<Part>| part.lock().expect("no panic").sources.len();
    assert_eq!(strangers.parts.iter().map(left).sum::<usize>(), 0, "and empties again");
}

/// SEC-28
#[test]
fn a_summary_tells_each_source_once_with_its_users() {
    let (strangers, now) = (Strangers::default(), Instant::now());
    for user in ["anna", "anna", "bert\n"] {
        strangers.admits(source(1), now);
        strangers.failed(source(1), user, false, now);
    }
    let reports = strangers.summary(now);
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!((reports[0].source, reports[0].failures), (Some(source(1)), 3));
    let mut users = reports[0].users.clone();
    users.sort();
    assert_eq!(users, ["anna", "bert"], "without what would end the line");
    assert!(strangers.summary(now).is_empty(), "once");
}

#[test]
fn all_of_an_ipv6_network_is_one_source() {
    let at = |text: &str| source_of(text.parse().expect("an address"));
    assert_eq!(at("[2001:db8::1]:5060"), at("[2001:db8::ffff:2]:5070"));
    assert_ne!(at("[2001:db8:0:1::1]:5060"), at("[2001:db8::1]:5060"));
    assert_eq!(at("[::ffff:192.0.2.1]:5060"), at("192.0.2.1:5060"));
}

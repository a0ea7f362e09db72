use super::*;
use sip::Link;
use switch::facts::Exits;

const TERMS: Terms = Terms {
    shortest: Duration::from_secs(30),
    longest: Duration::from_secs(600),
    keep: Duration::from_secs(24 * 3600),
};
const EXITS: Exits = Exits { datagram: Some(0), stream: None, usual: Link::Datagram, ipv6: false };

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 5060))
}

fn found(hosts: &[u8], valid_s: u64) -> Result<Found, String> {
    let answer = |last: &u8| Answer {
        address: address(*last),
        link: Link::Datagram,
        priority: 0,
        weight: 0,
    };
    let valid = Some(Duration::from_secs(valid_s));
    Ok(Found { answers: hosts.iter().map(answer).collect(), valid, missing: None })
}

struct Desk {
    book: Book,
    alarms: Alarms,
    name: Arc<Name>,
    start: Instant,
}

impl Desk {
    fn new() -> Desk {
        let alarms = Alarms::default();
        let book = Book::new(TERMS, vec![address(250)], Arc::default(), alarms.clone());
        let name = Name { host: "gw.example".into(), port: None, link: None, exits: EXITS };
        let mut desk = Desk { book, alarms, name: Arc::new(name), start: Instant::now() };
        desk.book.add(desk.start, HashSet::from([Arc::clone(&desk.name)]));
        desk
    }

    fn at(&self, seconds: u64) -> Instant {
        self.start + Duration::from_secs(seconds)
    }

    /// Records an answer; returns the seconds until the name is due again.
    fn note(&mut self, at_s: u64, found: Result<Found, String>) -> u64 {
        let now = self.at(at_s);
        self.book.note(now, &self.name, found);
        self.book.next_due().map_or(0, |due| (due - now).as_secs())
    }

    fn hosts(&self) -> Vec<u8> {
        let entry = &self.book.names[&self.name];
        let last = |answer: &Answer| match answer.address.ip() {
            IpAddr::V4(host) => host.octets()[3],
            IpAddr::V6(_) => 0,
        };
        entry.answers.iter().map(last).collect()
    }

    fn alarm(&self) -> String {
        self.alarms.lines().first().map(|line| line.detail.clone()).unwrap_or_default()
    }
}

/// SIG-66: a name is queried again at the TTL, after 30 s at the earliest and 600 s at the latest.
#[test]
fn a_name_is_asked_for_again_when_its_answer_expires() {
    let mut desk = Desk::new();
    let (start, name) = (desk.start, Arc::clone(&desk.name));
    assert_eq!(desk.book.take_due(start), Some(name));
    assert_eq!(desk.book.take_due(start), None, "it is being asked for");
    assert!(!desk.book.all_asked());
    assert_eq!(desk.note(0, found(&[1], 5)), 30);
    assert!(desk.book.all_asked());
    assert_eq!(desk.note(30, found(&[1], 300)), 300);
    assert_eq!(desk.note(330, found(&[1], 86_400)), 600);
    assert_eq!(desk.hosts(), [1]);
    assert_eq!(desk.alarm(), "");
}

/// SIG-66: the last good answer is kept for a day, with an alarm; a newer one replaces it.
#[test]
fn the_last_good_answer_outlives_its_name_servers_for_a_day() {
    let mut desk = Desk::new();
    desk.note(0, found(&[1], 60));
    assert_eq!(desk.note(60, Err("timed out".to_owned())), 30);
    assert_eq!(desk.hosts(), [1]);
    assert_eq!(desk.book.counts(), NameCounts { stale: 1, ..NameCounts::default() });
    assert!(desk.alarm().contains("timed out; calls go to the addresses of the last answer"));
    // No address at all is no good answer, and a partial one is worse than the earlier complete
    // one.
    desk.note(90, found(&[], 60));
    assert!(desk.alarm().contains("the name servers know no address of it"));
    let mut part = found(&[2], 60);
    part.as_mut().unwrap().missing = Some("b.example timed out".to_owned());
    desk.note(120, part.clone());
    assert_eq!(desk.hosts(), [1]);
    desk.note(24 * 3600 - 1, Err("timed out".to_owned()));
    assert_eq!(desk.hosts(), [1]);
    desk.note(24 * 3600, Err("timed out".to_owned()));
    assert_eq!(desk.hosts(), [0_u8; 0]);
    assert!(desk.alarm().contains("no call can go there"), "{}", desk.alarm());
    desk.note(24 * 3600 + 30, part);
    assert_eq!(desk.hosts(), [2]);
    desk.note(24 * 3600 + 60, found(&[3], 60));
    assert_eq!((desk.hosts(), desk.alarm()), (vec![3], String::new()));
}

/// A name that resolves to the switch itself would make calls loop.
#[test]
fn no_name_leads_back_to_us() {
    let mut desk = Desk::new();
    desk.note(0, found(&[250], 60));
    assert!(desk.hosts().is_empty() && desk.alarm().contains("leads to this switch itself"));
    desk.note(30, found(&[250, 1], 60));
    assert_eq!((desk.hosts(), desk.alarm()), (vec![1], String::new()));
}

#[test]
fn names_that_nobody_has_any_more_are_forgotten_with_their_alarm() {
    let mut desk = Desk::new();
    desk.note(0, Err("timed out".to_owned()));
    assert!(desk.alarm().contains("gw.example is not resolved: timed out; no call can go there"));
    desk.book.keep_only(desk.at(1), &HashSet::new());
    assert_eq!((desk.alarm(), desk.book.next_due()), (String::new(), None));
}

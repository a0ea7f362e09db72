use super::*;

#[test]
fn an_alarm_stands_until_it_is_cleared_and_counts_what_happens() {
    let alarms = Alarms::default();
    alarms.raise(AlarmKind::PortsLow, "main", "80 % taken");
    alarms.raise(AlarmKind::PortsLow, "main", "90 % taken");
    alarms.set(AlarmKind::PortsLow, "main", Some("95 % taken".to_owned()));
    alarms.raise(AlarmKind::DiskCritical, "journal", "no space");
    let lines = alarms.lines();
    assert_eq!(lines[0].alarm, "disk_critical", "the worst comes first");
    assert_eq!((lines[1].detail.as_str(), lines[1].count), ("95 % taken", 2));
    assert!(alarms.keep_calls_away());
    alarms.clear(AlarmKind::DiskCritical, "journal");
    alarms.set(AlarmKind::PortsLow, "main", None);
    assert_eq!(alarms.lines(), []);
    assert!(!alarms.keep_calls_away());
    let ports = alarms.counts().into_iter().find(|count| count.kind == AlarmKind::PortsLow);
    assert_eq!(ports.map(|count| (count.standing, count.begun)), Some((0, 1)));
}

#[test]
fn what_happened_at_a_moment_goes_by_itself() {
    let alarms = Alarms::default();
    let now = Instant::now();
    let until = Some(now + MOMENT);
    alarms.put(now, AlarmKind::BruteForce, "192.0.2.1", Said::Words("ten tries".to_owned()), until);
    alarms.board().expire(now + MOMENT - Duration::from_millis(1));
    assert_eq!(alarms.lines().len(), 1);
    alarms.board().expire(now + MOMENT);
    assert_eq!(alarms.lines(), []);
}

/// Otherwise the detail would show the last few of hundreds of lines.
#[test]
fn what_is_counted_is_summed_up_since_the_alarm_began() {
    let alarms = Alarms::default();
    for (more, told) in [(259, "259 lines"), (4, "263 lines")] {
        alarms.notice_more(AlarmKind::LogLinesLost, "log", more, "lines");
        assert_eq!(alarms.lines()[0].detail, told);
    }
    assert_eq!(alarms.lines()[0].count, 2);
    alarms.clear(AlarmKind::LogLinesLost, "log");
    alarms.notice_more(AlarmKind::LogLinesLost, "log", 1, "lines");
    assert_eq!(alarms.lines()[0].detail, "1 lines", "a new alarm begins anew");
}

#[test]
fn strangers_cannot_fill_the_board() {
    let alarms = Alarms::default();
    for source in 0..10_000 {
        alarms.notice(AlarmKind::BruteForce, &format!("source {source}"), "tries");
    }
    let lines = alarms.lines();
    assert_eq!(lines.len(), OBJECTS + 1);
    let others = lines.iter().find(|line| line.object == OTHERS).unwrap();
    assert_eq!(others.count, 10_000 - OBJECTS as u64);
}

/// The table in docs/operations.md lists each kind, in the order and words of the program.
#[test]
fn the_page_of_operations_has_every_kind() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations.md");
    let page = std::fs::read_to_string(page).expect("docs/operations.md is there");
    let table = page.split("| Alarm | Severity |").nth(1).expect("the table");
    let told: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map_while(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|line| line.split(" | ").collect())
        .collect();
    let known: Vec<_> = AlarmKind::ALL
        .iter()
        .map(|kind| (format!("`{}`", kind.name()), kind.severity().name(), kind))
        .collect();
    assert_eq!(told.len(), known.len());
    for (row, (name, severity, kind)) in told.iter().zip(&known) {
        let [alarm, told, _, effect, action] = row[..] else { panic!("{row:?}") };
        assert_eq!((alarm, told), (name.as_str(), *severity));
        assert_eq!((effect, action.trim_end_matches('.')), (kind.effect(), kind.action()));
    }
}

#[test]
fn kinds_have_names_of_their_own_and_words() {
    let names: std::collections::BTreeSet<_> = AlarmKind::ALL.map(AlarmKind::name).into();
    assert_eq!(names.len(), AlarmKind::ALL.len());
    for kind in AlarmKind::ALL {
        assert!(!kind.effect().is_empty() && !kind.action().ends_with('.'), "{kind:?}");
    }
}

//! The kinds of alarms, with their effect on calls and the action required.

/// Severity, the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Severity {
    /// Money or calls are being lost.
    Critical,
    /// Needs attention today.
    Major,
    /// It will get worse, or another party made a mistake.
    Warning,
}

impl Severity {
    /// Its name in the API and the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Major => "major",
            Severity::Warning => "warning",
        }
    }
}

/// The subject of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlarmKind {
    /// The journal cannot be written.
    DiskCritical,
    /// Unanswered calls have no record, because too many records wait for the disk.
    RecordsLost,
    /// A thread of the node failed and recovered.
    InternalError,
    /// Records wait too long.
    CdrLag,
    /// The database accepts no records.
    DatabaseSlow,
    /// The journal's folder has files with records that are not in the database.
    RecordsSetAside,
    /// A balance is not the sum of its postings (BILL-48).
    BalanceWrong,
    /// Calls are refused because the node cannot keep up.
    SystemOverload,
    /// Attempts failed because they got no media port.
    PortsExhausted,
    /// A plugin's new build failed and was rolled back.
    PluginRolledBack,
    /// A plugin is not asked for a while, because it keeps failing.
    PluginLeftOut,
    /// A plugin loses most calls, or often has no answer, and no earlier build is known to be
    /// better.
    PluginDoesBadly,
    /// A reload without a waiting client, such as by SIGHUP, was refused.
    ReloadRefused,
    /// Events of calls were dropped before plugins were notified, or are about to be.
    EventsLost,
    /// Requests that plugins left to the switch were given up.
    SendsFailed,
    /// A vendor rejects calls for lack of valid credentials (SIG-53).
    VendorAuthFailed,
    /// A vendor reports a routing loop (ROUTE-51).
    PossibleLoop,
    /// A vendor's host name has no address, or only an expired one (SIG-66).
    NameUnresolved,
    /// Most media ports are in use (MEDIA-09).
    PortsLow,
    /// The limit on open files is too low for the media ports.
    OpenFilesLow,
    /// A plugin file in the watched folder was not loaded.
    PluginRefused,
    /// Plugin settings owned by the API were rejected at start.
    SettingsRefused,
    /// A changed number file was rejected.
    TableRefused,
    /// Someone is guessing SIP passwords or tokens of the admin API.
    BruteForce,
    /// A stranger sends more than the node processes.
    Flood,
    /// Other users can write files of the node, or read its secrets.
    UnsafeFiles,
    /// Log lines were dropped because they could not be written fast enough.
    LogLinesLost,
}

impl AlarmKind {
    /// All kinds.
    pub(crate) const ALL: [AlarmKind; 27] = [
        AlarmKind::DiskCritical,
        AlarmKind::RecordsLost,
        AlarmKind::InternalError,
        AlarmKind::CdrLag,
        AlarmKind::DatabaseSlow,
        AlarmKind::RecordsSetAside,
        AlarmKind::BalanceWrong,
        AlarmKind::SystemOverload,
        AlarmKind::PortsExhausted,
        AlarmKind::PluginRolledBack,
        AlarmKind::PluginLeftOut,
        AlarmKind::PluginDoesBadly,
        AlarmKind::ReloadRefused,
        AlarmKind::EventsLost,
        AlarmKind::SendsFailed,
        AlarmKind::VendorAuthFailed,
        AlarmKind::PossibleLoop,
        AlarmKind::NameUnresolved,
        AlarmKind::PortsLow,
        AlarmKind::OpenFilesLow,
        AlarmKind::PluginRefused,
        AlarmKind::SettingsRefused,
        AlarmKind::TableRefused,
        AlarmKind::BruteForce,
        AlarmKind::Flood,
        AlarmKind::UnsafeFiles,
        AlarmKind::LogLinesLost,
    ];

    /// Its name in the API, the log and the metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            AlarmKind::DiskCritical => "disk_critical",
            AlarmKind::RecordsLost => "records_lost",
            AlarmKind::InternalError => "internal_error",
            AlarmKind::CdrLag => "cdr_lag",
            AlarmKind::DatabaseSlow => "database_slow",
            AlarmKind::RecordsSetAside => "records_set_aside",
            AlarmKind::BalanceWrong => "balance_wrong",
            AlarmKind::SystemOverload => "system_overload",
            AlarmKind::PortsExhausted => "ports_exhausted",
            AlarmKind::PluginRolledBack => "plugin_rolled_back",
            AlarmKind::PluginLeftOut => "plugin_left_out",
            AlarmKind::PluginDoesBadly => "plugin_does_badly",
            AlarmKind::ReloadRefused => "reload_refused",
            AlarmKind::EventsLost => "events_lost",
            AlarmKind::SendsFailed => "sends_failed",
            AlarmKind::VendorAuthFailed => "vendor_auth_failed",
            AlarmKind::PossibleLoop => "possible_loop",
            AlarmKind::NameUnresolved => "name_unresolved",
            AlarmKind::PortsLow => "ports_low",
            AlarmKind::OpenFilesLow => "open_files_low",
            AlarmKind::PluginRefused => "plugin_refused",
            AlarmKind::SettingsRefused => "settings_refused",
            AlarmKind::TableRefused => "table_refused",
            AlarmKind::BruteForce => "brute_force",
            AlarmKind::Flood => "flood",
            AlarmKind::UnsafeFiles => "unsafe_files",
            AlarmKind::LogLinesLost => "log_lines_lost",
        }
    }

    /// Its severity.
    pub(crate) fn severity(self) -> Severity {
        match self {
            AlarmKind::DiskCritical | AlarmKind::RecordsLost | AlarmKind::InternalError => {
                Severity::Critical
            }
            AlarmKind::CdrLag
            | AlarmKind::DatabaseSlow
            | AlarmKind::RecordsSetAside
            | AlarmKind::BalanceWrong
            | AlarmKind::SystemOverload
            | AlarmKind::PortsExhausted
            | AlarmKind::PluginRolledBack
            | AlarmKind::PluginLeftOut
            | AlarmKind::PluginDoesBadly
            | AlarmKind::ReloadRefused
            | AlarmKind::EventsLost
            | AlarmKind::SendsFailed
            | AlarmKind::VendorAuthFailed
            | AlarmKind::PossibleLoop
            | AlarmKind::NameUnresolved => Severity::Major,
            AlarmKind::PortsLow
            | AlarmKind::OpenFilesLow
            | AlarmKind::PluginRefused
            | AlarmKind::SettingsRefused
            | AlarmKind::TableRefused
            | AlarmKind::BruteForce
            | AlarmKind::Flood
            | AlarmKind::UnsafeFiles
            | AlarmKind::LogLinesLost => Severity::Warning,
        }
    }

    /// Whether `/health` reports `down` while it stands, so that load balancers send calls
    /// elsewhere.
    pub(crate) fn keeps_calls_away(self) -> bool {
        matches!(self, AlarmKind::DiskCritical)
    }

    /// Its effect on calls and money.
    pub(crate) fn effect(self) -> &'static str {
        match self {
            AlarmKind::DiskCritical => {
                "Records of calls are in memory only: a crash would lose them."
            }
            AlarmKind::RecordsLost => {
                "Refused and failed calls end without a record; answered ones are kept and charged."
            }
            AlarmKind::InternalError => {
                "The calls of that thread were ended and are recorded; new calls go on."
            }
            AlarmKind::CdrLag => "Records and balances are seen late; nothing is lost.",
            AlarmKind::DatabaseSlow => {
                "Records are safe in the journal and come later; payments and `apply` wait for it."
            }
            AlarmKind::RecordsSetAside => {
                "These calls are not in the database; all others are, and new ones go on."
            }
            AlarmKind::BalanceWrong => {
                "Calls of these accounts are let in or refused by a wrong sum."
            }
            AlarmKind::SystemOverload => "New calls are refused with 503 and Retry-After.",
            AlarmKind::PortsExhausted => {
                "Attempts whose media is relayed fail; without another vendor the call ends with 503."
            }
            AlarmKind::PluginRolledBack => "The build before decides again.",
            AlarmKind::PluginLeftOut => {
                "The fallback of its hooks applies at once, until one question finds it well again."
            }
            AlarmKind::PluginDoesBadly => "It goes on deciding; these calls may be lost.",
            AlarmKind::ReloadRefused => "Calls go on with what was in force before.",
            AlarmKind::EventsLost => {
                "Plugins miss what happened to some calls; the calls themselves notice nothing."
            }
            AlarmKind::SendsFailed => {
                "Servers outside miss what the plugin reported; calls notice nothing."
            }
            AlarmKind::VendorAuthFailed | AlarmKind::PossibleLoop => {
                "The attempts fail; the calls go to the next vendor, where there is one."
            }
            AlarmKind::NameUnresolved => {
                "Calls go to the last known addresses for a day, then to the vendor's other targets \
                 and to other vendors."
            }
            AlarmKind::PortsLow => "None yet; without free ports calls are refused with 503.",
            AlarmKind::OpenFilesLow => {
                "None yet; calls are refused with 503 before all media ports are used."
            }
            AlarmKind::PluginRefused => "The live build goes on.",
            AlarmKind::SettingsRefused => "The plugin decides with the settings of the node file.",
            AlarmKind::TableRefused => "The live rows go on.",
            AlarmKind::BruteForce => {
                "Whoever guesses SIP passwords is locked out for a time; others notice nothing."
            }
            AlarmKind::Flood => "Its packets are dropped unread; known peers notice nothing.",
            AlarmKind::UnsafeFiles => {
                "Files that others can change are not used, such as compiled plugins."
            }
            AlarmKind::LogLinesLost => "Lines are missing from the log; calls notice nothing.",
        }
    }

    /// The action required.
    pub(crate) fn action(self) -> &'static str {
        match self {
            AlarmKind::DiskCritical => {
                "Free space on the file system of data_dir, or see why it cannot be written; the \
                 node goes on by itself"
            }
            AlarmKind::RecordsLost => {
                "Send calls to another node and free space on the file system of data_dir; do not \
                 stop this one before"
            }
            AlarmKind::InternalError => {
                "Keep the log and report it; if it follows a change, such as a new plugin, take \
                 the change back"
            }
            AlarmKind::CdrLag => "See what else uses the disk, and watch strowger_recorder_queue",
            AlarmKind::DatabaseSlow => {
                "See whether the database file can be written and who else has it open, or whether \
                 the server answers"
            }
            AlarmKind::RecordsSetAside => {
                "See the files that it names in data_dir/journal (docs/operations.md), then move \
                 them elsewhere"
            }
            AlarmKind::BalanceWrong => {
                "See which accounts the log names, and their rows of the table `posting`"
            }
            AlarmKind::SystemOverload => {
                "Find the dialler (strowger_calls_total, `strowger calls`) and limit it; add a node"
            }
            AlarmKind::PortsExhausted | AlarmKind::PortsLow => {
                "Widen the port range or add a media address, also in the firewall; look for calls \
                 that hang"
            }
            AlarmKind::PluginRolledBack => {
                "See `strowger plugin list` and the plugin's log lines before you load it again"
            }
            AlarmKind::PluginLeftOut => {
                "See the plugin's faults in the log, then swap in a build that works, or roll back"
            }
            AlarmKind::PluginDoesBadly => {
                "See `strowger plugin show NAME` and `strowger cdr` for where the calls are lost; swap \
                 in another build if the plugin is wrong"
            }
            AlarmKind::ReloadRefused => "Run `strowger check-config`, mend what it names, reload",
            AlarmKind::EventsLost => {
                "See which plugin of the hook events is slow or fails: `strowger plugin list`, \
                 strowger_hook_seconds, strowger_plugin_waiting"
            }
            AlarmKind::SendsFailed => {
                "See whether the servers of the plugin's http.hosts answer; `strowger plugin show` has \
                 the latest failure"
            }
            AlarmKind::VendorAuthFailed => {
                "Compare user and password of the vendor trunk with what the vendor expects"
            }
            AlarmKind::PossibleLoop => {
                "See with the vendor where it sends these calls; `strowger cdr` names them"
            }
            AlarmKind::NameUnresolved => {
                "Ask the name servers for it (`dig NAME`); compare the target with what the vendor says"
            }
            AlarmKind::OpenFilesLow => {
                "Raise LimitNOFILE= of systemd or `ulimit -Hn`, or narrow the port ranges"
            }
            AlarmKind::PluginRefused => "Mend the file and put it there again",
            AlarmKind::SettingsRefused => {
                "Mend them with `strowger plugin settings set NAME`, or take those of the node file: \
                 `strowger plugin settings remove NAME`"
            }
            AlarmKind::TableRefused => "Mend the line that is named and write the file again",
            AlarmKind::BruteForce => {
                "A customer behind that address? Correct its password, then `strowger lockouts \
                 --unlock ADDRESS`; else nothing"
            }
            AlarmKind::Flood => "Have the source filtered upstream if it lasts",
            AlarmKind::UnsafeFiles => {
                "Give data_dir to the user of the switch and take the rights of others (chmod -R go=)"
            }
            AlarmKind::LogLinesLost => "See who reads the log, or lower log.level",
        }
    }
}

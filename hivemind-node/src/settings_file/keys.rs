//! The one table of all settings.

/// One setting.
pub(super) struct Key {
    /// Where it stands: the tables above it, and its name.
    pub(super) path: &'static str,
    /// What it is where it is not written, as TOML; empty where it must be written, or where the text says it.
    pub(super) default: &'static str,
    /// What it means, its unit and range.
    pub(super) meaning: &'static str,
}

const fn key(path: &'static str, default: &'static str, meaning: &'static str) -> Key {
    Key { path, default, meaning }
}

/// In the order in which they are written.
pub(super) const KEYS: &[Key] = &[
    key("name", "", "The name of this node, and of its host: one DNS label. It stays with the data folder."),
    key("data_dir", "\"/var/lib/hivemind\"", "The folder of its data. The key in it is the node: whoever has a copy is it."),
    key("listen", "\"[::]:6550\"", "Where it listens for other nodes, by UDP."),
    key("addresses", "[]", "Where others reach it, best first. Needed where `listen` is every address (0.0.0.0 or [::])."),
    key("voter", "false", "Whether it may become a voter. The cluster keeps three voters, chosen among those that may."),
    key(
        "seeds",
        "[]",
        "Where members may listen that can take its join on: addresses or names of DNS, with a port or for port 6550. Looked at, and names looked up anew, until it is a member.",
    ),
    key("restart_grace", "\"60 s\"", "When it is stopped by SIGTERM its place is kept for so long. From 0 s to 1 h."),
    key(
        "http.listen",
        "\"127.0.0.1:6553\"",
        "Where it serves HTTP. Beyond loopback it is HTTPS, with the certificate of this node, and `anonymous` must be none. Port 0: any free one.",
    ),
    key("http.anonymous", "\"read\"", "What one without a credential may do there: none, read or write (look, and make dry runs)."),
    key(
        "http.hosts",
        "[]",
        "Further names of this machine that programs on it may ask for, as behind a proxy; localhost and loopback addresses need not be named.",
    ),
    key(
        "http.socket",
        "",
        "The Unix socket of the tool, which gives every right to this user, and to its group where that may enter the folder. Unless set: hivemind.sock in data_dir, which is this user's alone.",
    ),
    key("roles.observer", "false", "Whether it holds all members and configs, so that its HTTP interface shows them."),
    key(
        "roles.host.folder",
        "\"/etc/hivemind/hosts.d\"",
        "The folder of host files. All of them are parts of the one host of this node's name, in the order of their names.",
    ),
    key("roles.host.zones", "[\"hive.\"]", "The zones that host files may publish into, the cluster's own first."),
    key(
        "roles.dns_processor.listen",
        "[\"127.0.0.1:5300\"]",
        "Where it answers DNS. Name the addresses, so that other servers of this machine keep theirs.",
    ),
    key("roles.dns_processor.zones", "[\"hive.\"]", "The zones that it answers for, the cluster's own first."),
    key("log.level", "\"info\"", "How much is logged: error, warn, info or debug. Followed at a reload (SIGHUP)."),
    key("log.format", "\"text\"", "The form of the log on standard error: text or json."),
];

/// The tables that are there.
pub(super) const TABLES: [&str; 5] = ["http", "roles", "roles.host", "roles.dns_processor", "log"];

/// The setting at a path.
pub(super) fn at(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// What may stand in the table at `table`: names of settings and of tables.
pub(super) fn names_in(table: &str) -> Vec<&'static str> {
    let paths = KEYS.iter().map(|key| key.path).chain(TABLES);
    let below = |path: &'static str| match table {
        "" => Some(path),
        table => path.strip_prefix(table)?.strip_prefix('.'),
    };
    paths.filter_map(below).filter(|name| !name.contains('.')).collect()
}

//! The manual says what the programs do.

use std::path::Path;

use hivemind_node::settings_file::{NodeSettings, reference, written};

/// The table is the program's own: `REWRITE=1` writes it anew, below what people wrote.
#[test]
fn the_manual_has_every_setting_as_the_program_knows_it() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings.md");
    let manual = std::fs::read_to_string(&path).expect("docs/settings.md is there");
    let (introduction, _) = manual.split_once("| setting |").expect("docs/settings.md has the table of settings");
    let wanted = format!("{introduction}{}", reference());
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, &wanted).expect("docs/settings.md can be written");
    } else {
        assert!(
            manual == wanted,
            "docs/settings.md is not what the program knows; REWRITE=1 writes it anew; the table is:\n{}",
            reference()
        );
    }
}

#[test]
fn the_example_of_the_package_has_every_setting_and_can_be_used() {
    let example = include_str!("../../packaging/node.toml");
    let given = [("name", "\"eu1\"".to_owned()), ("addresses", "[\"192.0.2.1:6550\"]".to_owned())];
    assert_eq!(example, written(&given), "hivemind-node/packaging/node.toml is not what the program writes");
    assert!(NodeSettings::parse(example).is_ok());
}

//! The manual says what the programs do.

use hivemind_node::settings_file::{NodeSettings, reference, written};

#[test]
fn the_manual_has_every_setting_as_the_program_knows_it() {
    let manual = include_str!("../../../docs/operating.md");
    assert!(manual.contains(&reference()), "docs/operating.md lacks this table:\n{}", reference());
}

#[test]
fn the_example_of_the_package_has_every_setting_and_can_be_used() {
    let example = include_str!("../../packaging/node.toml");
    let given = [("name", "\"eu1\"".to_owned()), ("addresses", "[\"192.0.2.1:6550\"]".to_owned())];
    assert_eq!(example, written(&given), "hivemind-node/packaging/node.toml is not what the program writes");
    assert!(NodeSettings::parse(example).is_ok());
}

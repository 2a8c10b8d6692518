//! The manual says what the programs do.

use hivemind_node::settings_file::reference;

#[test]
fn the_manual_has_every_setting_as_the_program_knows_it() {
    let manual = include_str!("../../../docs/operating.md");
    assert!(manual.contains(&reference()), "docs/operating.md lacks this table:\n{}", reference());
}

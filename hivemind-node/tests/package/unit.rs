//! The unit, as systemd reads it.

use crate::sandbox::Sandbox;

const UNIT: &str = "/usr/lib/systemd/system/hivemind.service";
/// The most exposure that is taken, in tenths, as `systemd-analyze security` reckons: 0 is none, 100 is all.
const EXPOSURE: &str = "15";

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_exposed() {
    let sandbox = Sandbox::installed();
    let said = sandbox.ask(&format!("systemd-analyze verify --man=no --recursive-errors=no {UNIT}"));
    assert!(said.status == 0 && said.err.is_empty(), "{said:?}");
    let said = sandbox.ask(&format!("systemd-analyze security --offline=yes --threshold={EXPOSURE} {UNIT}"));
    assert_eq!(said.status, 0, "{said:?}");
}

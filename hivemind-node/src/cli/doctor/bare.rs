//! A host that is no node yet: whether it can become one where nothing else is said than the defaults.

use std::path::Path;

use super::super::clock::is_long_ago;
use super::{Finding, data, fail, net, ok, warn};
use crate::settings_file::NodeSettings;
use crate::storage;

/// Settings in which all that may be left out is left out. The address is of documentation.
const LEAST: &str = "name = \"host\"\naddresses = [\"192.0.2.1:6550\"]\n";

pub(super) fn look() -> Vec<Finding> {
    let settings = NodeSettings::parse(LEAST).expect("what must be said is said");
    let mut findings =
        vec![warn("settings", "no settings yet: `hivemind init` or `hivemind join` writes them; what follows is by the defaults")];
    findings.extend(place(&settings.data_dir));
    findings.push(clock(is_long_ago()));
    findings.extend(net::ports(&settings, None));
    findings
}

/// The data folder, or the folder that it would be made in.
fn place(folder: &Path) -> Vec<Finding> {
    let shown = folder.display();
    let Some(nearest) = folder.ancestors().find(|place| place.exists()) else {
        return vec![fail("data", format!("{shown} can not be made: nothing above it is there; choose another with --data-dir"))];
    };
    if !nearest.is_dir() {
        return vec![fail(
            "data",
            format!("{shown} can not be made: {} is not a folder; choose another with --data-dir", nearest.display()),
        )];
    }
    let found = match storage::inspect(folder) {
        Ok(None) if nearest == folder => ok("data", format!("{shown} is there, and nobody's data is in it")),
        Ok(None) => ok("data", format!("{shown} is not there yet, and would be made in {}", nearest.display())),
        Ok(Some(_)) => fail(
            "data",
            format!("{shown} holds a node's data, whose settings are gone: bring them back, or remove the folder to begin anew"),
        ),
        Err(error) => fail("data", error.to_string()),
    };
    let mut findings = vec![found];
    findings.extend(data::disk(nearest));
    findings
}

fn clock(is_long_ago: bool) -> Finding {
    if is_long_ago {
        fail("clock", "it is years behind: set it, by NTP say; `hivemind init` would refuse to make a cluster")
    } else {
        ok("clock", "it is later than the making of this program, as it should be")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_judged_by_where_it_would_be() {
        let place_in = |folder: &Path| place(folder).into_iter().map(|finding| (finding.check, finding.verdict)).collect::<Vec<_>>();
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("var/lib/hivemind");
        let found = place(&folder);
        assert!(found[0].verdict == Verdict::Ok && found[0].says.ends_with(&home.path().display().to_string()), "{found:?}");
        assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["data", "room", "disk"]);
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is left behind");

        fs::create_dir_all(&folder).unwrap();
        assert_eq!(place_in(&folder)[0], ("data", Verdict::Ok), "as a package makes it");
        fs::write(folder.join("format"), "hivemind data folder, format 99\n").unwrap();
        assert_eq!(place_in(&folder)[0], ("data", Verdict::Fail), "it is somebody's");
        fs::write(home.path().join("file"), "").unwrap();
        assert_eq!(place_in(&home.path().join("file/hivemind")), [("data", Verdict::Fail)]);
    }

    #[test]
    fn a_clock_before_this_program_fails() {
        assert_eq!((clock(true).verdict, clock(false).verdict), (Verdict::Fail, Verdict::Ok));
    }

    #[test]
    fn the_least_settings_are_settings() {
        assert!(NodeSettings::parse(LEAST).is_ok());
    }
}

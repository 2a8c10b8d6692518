//! Every script is run, every command documented.

use clap::CommandFactory as _;

use super::tree::{File, Finding};
use super::{bites, hold};

/// A script is named, with or without its ending, by some test of its crate that reads its folder.
fn unused_scripts(files: &[File]) -> Vec<Finding> {
    let scripts = files.iter().filter(|file| file.path.contains("/testdata/") && file.path.ends_with(".txt"));
    scripts.filter(|script| !is_run(script, files)).map(|script| script.finding(None, "no test runs this script")).collect()
}

fn is_run(script: &File, files: &[File]) -> bool {
    let (krate, inside) = script.path.split_once("/testdata/").expect("a script is in such a folder");
    let (folder, name) = inside.rsplit_once('/').unwrap_or(("", inside));
    let stem = name.trim_end_matches(".txt");
    let named = [format!("\"{name}\""), format!("\"{stem}\""), format!("/{name}\"")];
    let reads = |text: &str| text.contains("testdata") && text.contains(folder) && named.iter().any(|name| text.contains(name.as_str()));
    files.iter().any(|file| file.is_rust() && file.is_test() && file.path.starts_with(&format!("{krate}/")) && reads(&file.text))
}

/// What users read.
fn manuals(files: &[File]) -> Vec<&File> {
    let is_manual = |file: &&File| file.path == "README.md" || file.path == "hivemind-lite/README.md" || file.path.starts_with("docs/");
    files.iter().filter(is_manual).collect()
}

fn undocumented(name: &str, files: &[File], forms: &[String]) -> Option<Finding> {
    let found = manuals(files).iter().any(|manual| forms.iter().any(|form| manual.text.contains(form.as_str())));
    (!found).then(|| File::new("README.md", "").finding(None, format!("says nothing of `{name}`")))
}

fn undocumented_jobs(files: &[File]) -> Vec<Finding> {
    let cli = hivemind_lite::args::Cli::command();
    let names: Vec<&str> = cli.get_subcommands().map(clap::Command::get_name).filter(|name| *name != "help").collect();
    assert!(names.contains(&"sim"), "{names:?}");
    names.iter().filter_map(|name| undocumented(name, files, &[format!("hivemind-lite {name}")])).collect()
}

/// The console's commands, as its own help lists them: the first word of each line below the heading.
fn undocumented_commands(files: &[File]) -> Vec<Finding> {
    let help = hivemind_lite::console::command::help();
    let names: Vec<&str> = help.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 11 && names.contains(&"status") && names.contains(&"isolate"), "{names:?}");
    names.iter().filter_map(|name| undocumented(name, files, &[format!("`{name}`"), format!("`{name} ")])).collect()
}

#[test]
fn every_script_is_run() {
    let script = ("x/testdata/machine/join.txt", "> birth\n");
    bites(unused_scripts, &[script], &[script, ("x/tests/scripts.rs", "read(\"testdata/machine\", \"join.txt\");\n")]);
    bites(unused_scripts, &[script], &[script, ("x/src/machine/tests/script.rs", "[\"testdata\", \"machine\", \"join\"]\n")]);
    hold(unused_scripts);
}

#[test]
fn every_job_is_documented() {
    bites(undocumented_jobs, &[("README.md", "# hivemind\n")], &[("README.md", "`hivemind-lite sim` runs\n")]);
    hold(undocumented_jobs);
}

#[test]
fn every_command_of_the_console_is_documented() {
    let all = "`status` `members` `events` `configs` `kill NAME` `start NAME` `isolate NAME` `heal` `leave NAME` `help` `quit`\n";
    let some = all.replace("`heal`", "heal");
    bites(undocumented_commands, &[("README.md", &some)], &[("README.md", all)]);
    hold(undocumented_commands);
}

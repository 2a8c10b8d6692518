//! Every scenario over real sockets, and those that only a real disk has.

use hivemind_core::machine::HaltReason;
use hivemind_tests::real::{Real, brisk};
use hivemind_tests::{NodeSpec, Part, Stage, bounds, every_body, name, scenarios};

macro_rules! real {
    ($($body:ident),* $(,)?) => {
        $(
            #[test]
            fn $body() {
                scenarios::$body::<Real>(brisk());
            }
        )*
    };
}

every_body!(real);

#[test]
fn of_two_nodes_with_one_id_one_stops_and_names_it() {
    let node = |text: &str, part| NodeSpec { name: name(text), part, sections: Vec::new() };
    let cast = vec![node("voter1", Part::Voter), node("web1", Part::Host), node("dns1", Part::Consumer)];
    let mut stage = Real::open(brisk(), cast);
    let bound = bounds::join(stage.settings());
    stage.wait_until("all are members", bound, |views| views.len() == 3 && views.values().all(|view| view.facts.members().len() == 3));
    let id = stage.id("web1");
    assert_eq!(stage.clone_disk("web1"), HaltReason::Duplicate { node: id });
}

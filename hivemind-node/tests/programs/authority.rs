//! Another authority, as an operator asks for it.

use hivemind_node::http::model::{Authorities, Status};

use crate::host::{Host, free_port};

#[test]
fn an_operator_rotates_the_authority_and_retires_the_former_one() {
    let (founder, port) = (Host::new(), free_port());
    founder.init_with_http(&format!("0.0.0.0:{port}")).done();
    let _daemon = founder.start();
    let authorities = || founder.ask(&["authority", "show", "--json"]).json::<Authorities>();
    let first = authorities();
    assert!(first.shown && first.next.is_none() && first.former.is_none(), "{first:?}");
    let file = founder.path("ca.pem");
    std::fs::write(&file, founder.ask(&["authority"]).done()).unwrap();
    assert_eq!(first.present.certificate, std::fs::read_to_string(&file).unwrap());
    let nothing = founder.ask(&["authority", "retire"]);
    assert!(nothing.status == 1 && nothing.err.contains("nothing to retire"), "{nothing:?}");

    let rotated = founder.ask(&["authority", "rotate"]).done();
    assert!(rotated.contains("issues from now on"), "{rotated}");
    let second = authorities();
    assert_eq!(second.former, Some(first.present.clone()));
    assert!(rotated.contains(&second.present.fingerprint), "{rotated}");
    let twice = founder.ask(&["authority", "rotate"]);
    assert!(twice.status == 1 && twice.err.contains("retire it first"), "{twice:?}");
    let early = founder.ask(&["authority", "retire"]);
    assert!(early.status == 1 && early.err.contains("--now"), "{early:?}");

    // Who knows the first one follows the bridge to the second.
    let at = format!("https://127.0.0.1:{port}");
    let credential = founder.path("credential");
    std::fs::write(&credential, founder.ask(&["credential", "create", "--right", "read"]).done()).unwrap();
    let (file, credential) = (file.display().to_string(), credential.display().to_string());
    let outside = ["status", "--json", "--at", &at, "--node", "eu1", "--ca", &file, "--credential-file", &credential];
    let mut shown = false;
    for _ in 0..2_000 {
        assert_eq!(founder.ask(&outside).json::<Status>().name, "eu1", "at no moment is anybody turned away");
        shown = authorities().shown;
        if shown {
            break;
        }
    }
    assert!(shown, "the node shows a certificate of the new authority");
    assert_eq!(founder.ask(&outside).json::<Status>().name, "eu1");

    founder.ask(&["authority", "retire", "--now"]).done();
    assert!(authorities().former.is_none());
    let written = founder.ask(&["authority"]).done();
    assert_eq!(written, second.present.certificate, "the bridge is none that anybody should start from");
}

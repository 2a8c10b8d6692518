//! What a program said.

use std::process::Output;

use serde::de::DeserializeOwned;

/// What a program said, and its status.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Said {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        Said { status: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The data, where it was done.
    pub(crate) fn done(self) -> String {
        assert_eq!(self.status, 0, "{self:?}");
        self.out
    }

    pub(crate) fn json<T: DeserializeOwned>(self) -> T {
        let text = self.done();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
}

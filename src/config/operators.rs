//! The `tokens` of the admin listener: who may decide while the gateway runs.

use super::gateway::GatewayFile;
use crate::document::{Diagnostics, check_name};
use crate::identity::{Operator, Operators};

/// Checks the tokens of operators: each is one operator's, and no client's.
pub(super) fn read_operators(file: &GatewayFile, diagnostics: &mut Diagnostics) -> Operators {
    let mut known: Vec<Operator> = Vec::new();
    for settings in file.admin.iter().flat_map(|admin| &admin.tokens) {
        let (name, token) = (&settings.name, &settings.token);
        check_name(&name.value, name.position, diagnostics);
        if known.iter().any(|other| *other.name == *name.value) {
            diagnostics.error(name.position, format!("a second operator named `{}`", name.value));
        }
        if let Some(other) = known.iter().find(|other| other.token == token.value) {
            let message = format!("this is the token of `{}` already: one token is one operator", other.name);
            diagnostics.error(token.position, message);
        }
        let mut clients = file.clients.iter().map(|client| &client.value);
        let same = clients.find(|client| client.token.as_ref().is_some_and(|other| other.value == token.value));
        if let Some(client) = same {
            let name = &client.name.value;
            let message = format!("this is the token of the client `{name}`: who may fetch must not decide, too");
            diagnostics.error(token.position, message);
        }
        let expires = settings.expires.map(|until| until.0);
        known.push(Operator { name: name.value.as_str().into(), token: token.value, expires });
    }
    Operators::new(known)
}

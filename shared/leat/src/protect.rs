//! Personal data is protected once: right after the rules, before anything is computed, kept or sent.
//!
//! - `drop`: the value becomes null.
//! - `mask`: all but the last `keep` characters become `*`. A value of at most `keep` characters is all `*`, since
//!   nothing of it would be hidden otherwise.
//! - `tokenize`: `t1_` and 32 hexadecimal digits, the first 128 bits of HMAC-SHA-256 under the token key of
//!   (field name, NUL, value). The same value in fields of the same name has the same token in every recipe that
//!   shares the secret, so sources can be joined; in another field its token differs, so fields cannot. `1` is
//!   the key's version.
//!
//! Numbers, booleans and timestamps of a masked or tokenized field are text from decode on, in the one form that
//! [`crate::number::print`] and [`crate::timestamp::print`] give. Missing stays missing. What a landed line says
//! is protected already is left as it is.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::column::{Column, Type, Value};
use crate::decode::Batch;
use crate::recipe::{Field, Method, Recipe};
use crate::record::{Protected, ProtectedFields, identity_of_id};

/// The version of the token key: part of each token and of `_leat`.
pub const TOKEN_KEY: u32 = 1;

/// The fewest bytes of a secret.
pub const SECRET_BYTES: usize = 32;

/// The keys of a deployment, made from one secret. Nothing of them is ever printed.
#[derive(Clone)]
pub struct Keys {
    token: Hmac<Sha256>,
    landing: Hmac<Sha256>,
}

/// The secret is too short to make keys of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the secret has {0} bytes and needs at least {SECRET_BYTES}: make one with `openssl rand -hex 32`"
)]
pub struct ShortSecret(pub usize);

/// A recipe that tokenizes was run without keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the recipe tokenizes a field: give the secret that its tokens are made with")]
pub struct MissingKeys;

impl Keys {
    /// Keys from a secret of at least [`SECRET_BYTES`] random bytes, as it was stored; blanks around it count.
    pub fn from_secret(secret: &[u8]) -> Result<Self, ShortSecret> {
        if secret.len() < SECRET_BYTES {
            return Err(ShortSecret(secret.len()));
        }
        let key =
            |purpose: &[u8]| hmac(&hmac(secret).chain_update(purpose).finalize().into_bytes());
        Ok(Keys { token: key(b"leat/token/1"), landing: key(b"leat/landing/1") })
    }

    /// The token of `text` in the field named `field`.
    pub fn token(&self, field: &str, text: &str) -> String {
        let mac = self.token.clone().chain_update(field).chain_update([0]).chain_update(text);
        format!("t{TOKEN_KEY}_{}", hex(&mac.finalize().into_bytes()[..16]))
    }

    /// The code that vouches for a landed line: 32 hexadecimal digits over `tag`, NUL and `rest`.
    pub(crate) fn landing_mac(&self, tag: &[u8], rest: &[u8]) -> String {
        let mac = self.landing.clone().chain_update(tag).chain_update([0]).chain_update(rest);
        hex(&mac.finalize().into_bytes()[..16])
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(…)")
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    // RFC 2104: a key longer than a block is hashed first, a shorter one is filled with zeros.
    let mut block = [0; 64];
    match block.get_mut(..key.len()) {
        Some(start) => start.copy_from_slice(key),
        None => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    Hmac::new(&block.into())
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for half in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from(b"0123456789abcdef"[usize::from(half)]));
    }
    text
}

/// True if the recipe cannot run without [`Keys`].
pub fn needs_keys(recipe: &Recipe) -> bool {
    recipe.protect.iter().any(|p| p.method == Method::Tokenize)
}

/// Protects the schema's fields in `batch` as `recipe` says, but for those that a row lists as protected already,
/// and lists them. A row whose id was protected here gets the identity of what is left of it, which is what a
/// reader of the landed line will find. Errs, and changes nothing, if a row has something to tokenize and there are no keys:
/// rows that were protected before need none.
pub fn protect(batch: &mut Batch, recipe: &Recipe, keys: Option<&Keys>) -> Result<(), MissingKeys> {
    let mut fields = recipe.schema.fields.iter();
    let to_tokenize = |field: &Field| {
        recipe.method(&field.name) == Some(Method::Tokenize)
            && batch.rows.iter().any(|row| !row.protected.contains_key(&field.name))
    };
    if keys.is_none() && fields.any(to_tokenize) {
        return Err(MissingKeys);
    }
    for (slot, field) in recipe.schema.fields.iter().enumerate() {
        let Some(method) = recipe.method(&field.name) else { continue };
        let open: Vec<bool> =
            batch.rows.iter().map(|row| !row.protected.contains_key(&field.name)).collect();
        let Some(column) = batch.columns.get_mut(slot) else { continue };
        if !open.contains(&true) {
            continue;
        }
        *column = column_of(column, &open, |text| match (method, keys) {
            (Method::Mask { keep }, _) => Some(mask(text, keep)),
            (Method::Tokenize, Some(keys)) => Some(keys.token(&field.name, text)),
            (Method::Tokenize, None) | (Method::Drop, _) => None,
        });
        let is_id = recipe.schema.role(crate::recipe::Role::Id) == Some(slot);
        // Neighbours mostly say the same before, and then share what they say after.
        let mut shared: Option<(ProtectedFields, ProtectedFields)> = None;
        for (index, row) in batch.rows.iter_mut().enumerate().filter(|(index, _)| open[*index]) {
            match &shared {
                Some((before, after)) if row.protected.is_shared_with(before) => {
                    row.protected = after.clone();
                }
                _ => {
                    let before = row.protected.clone();
                    row.protected.insert(field.name.clone(), listed(method));
                    shared = Some((before, row.protected.clone()));
                }
            }
            if let Some(id) = column.text(index).filter(|_| is_id) {
                row.identity = identity_of_id(id);
            }
        }
    }
    Ok(())
}

/// `column` with `change` made to the values of the rows that are `open`.
fn column_of(column: &Column, open: &[bool], change: impl Fn(&str) -> Option<String>) -> Column {
    let mut out = Column::new(column.kind());
    for (row, open) in open.iter().enumerate() {
        match column.get(row) {
            Value::String(text) if *open && column.kind() == Type::String => {
                out.push(change(text).as_deref().map_or(Value::Null, Value::String));
            }
            // A dropped field keeps its type; every other method's column is text.
            _ if *open => out.push(Value::Null),
            value => out.push(value),
        }
    }
    out
}

/// How `_leat` lists a method.
fn listed(method: Method) -> Protected {
    let (method, key) = match method {
        Method::Drop => ("drop", None),
        Method::Mask { .. } => ("mask", None),
        Method::Tokenize => ("tokenize", Some(TOKEN_KEY)),
    };
    Protected { method: method.to_string(), key }
}

fn mask(text: &str, keep: usize) -> String {
    let characters = text.chars().count();
    let hidden = if characters <= keep { characters } else { characters - keep };
    text.chars().enumerate().map(|(i, c)| if i < hidden { '*' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::fixture::{decoder, keys, recipe, record};

    #[test]
    fn the_keys_are_hmac_sha_256() {
        // RFC 4231, cases 2 (a short key) and 6 (a key longer than a block).
        let short = hmac(b"Jefe").chain_update(b"what do ya want for nothing?").finalize();
        assert_eq!(hex(&short.into_bytes()[..8]), "5bdcc146bf60754e");
        let long = hmac(&[0xAA; 131])
            .chain_update(b"Test Using Larger Than Block-Size Key - Hash Key First")
            .finalize();
        assert_eq!(hex(&long.into_bytes()[..8]), "60e431591ee0b67f");
    }

    #[test]
    fn secrets_and_what_is_shown_of_them() {
        assert_eq!(Keys::from_secret(&[7; 31]).unwrap_err(), ShortSecret(31));
        assert_eq!(format!("{:?}", Keys::from_secret(&[7; 32]).unwrap()), "Keys(…)");
    }

    #[test]
    fn tokens() {
        let token = keys().token("card", "4111");
        assert_eq!(token, "t1_c03679a06d358b24848defea43727f38");
        assert_eq!(token, keys().token("card", "4111"));
        assert_ne!(token, keys().token("pan", "4111"));
        assert_ne!(token, Keys::from_secret(&[7; 32]).unwrap().token("card", "4111"));
        assert_ne!(keys().token("a", "bc"), keys().token("ab", "c"));
    }

    #[test]
    fn masks_count_characters() {
        for (text, keep, masked) in [
            ("5550199", 2, "*****99"),
            ("äöüß", 1, "***ß"),
            ("ab", 2, "**"), // nothing would be hidden
            ("a", 4, "*"),
            ("ab", 0, "**"),
            ("", 2, ""),
        ] {
            assert_eq!(mask(text, keep), masked, "{text}");
        }
    }

    fn batch_of(members: &str) -> Batch {
        let line = format!("{{\"id\":\"e\",\"who\":\"c\",\"at\":0{members}}}");
        record(&decoder(), line.as_bytes()).0
    }

    #[test]
    fn a_batch_is_protected_once() {
        let mut batch = batch_of(",\"card\":41,\"phone\":\"5550199\",\"secret\":1.5");
        batch.append(batch_of(""));
        protect(&mut batch, &recipe(), Some(&keys())).unwrap();
        let token = keys().token("card", "41");
        assert_eq!(batch.columns[6], Column::strings([Some(token.as_str()), None]));
        assert_eq!(batch.columns[7], Column::strings([Some("*****99"), None]));
        assert_eq!(batch.columns[8], Column::doubles([None, None]));
        let listed: Vec<_> =
            batch.rows[1].protected.iter().map(|(f, p)| (f.as_str(), p.key)).collect();
        assert_eq!(listed, [("card", Some(1)), ("phone", None), ("secret", None)]);
        let before = batch.clone();
        for keys in [Some(&keys()), None] {
            protect(&mut batch, &recipe(), keys).unwrap();
            assert_eq!(batch, before);
        }
        batch.append(batch_of(",\"card\":41")); // a raw row beside protected ones
        protect(&mut batch, &recipe(), Some(&keys())).unwrap();
        assert_eq!(batch.columns[6].text(2), Some(token.as_str()));
        assert_eq!(batch.columns[6].text(0), Some(token.as_str()));
    }

    #[test]
    fn nothing_goes_on_raw_for_want_of_keys() {
        let mut batch = batch_of(",\"card\":41,\"phone\":\"5550199\"");
        let before = batch.clone();
        assert_eq!(protect(&mut batch, &recipe(), None), Err(MissingKeys));
        assert_eq!(batch, before);
        let mut recipe = recipe();
        recipe.protect.retain(|p| p.method != Method::Tokenize);
        assert_eq!(protect(&mut batch, &recipe, None), Ok(()));
        assert_eq!(batch.columns[7].text(0), Some("*****99"));
    }

    #[test]
    fn a_protected_id_gives_the_identity_of_its_token() {
        let mut recipe = recipe();
        recipe.protect[0].field = "id".into();
        let decoder = crate::decode::fixture::decoder_of(&recipe);
        let (mut batch, _) = record(&decoder, b"{\"id\":\"e\",\"who\":\"c\",\"at\":0}");
        protect(&mut batch, &recipe, Some(&keys())).unwrap();
        assert_eq!(batch.rows[0].identity, identity_of_id(&keys().token("id", "e")));
    }
}

//! What looks like personal data: candidates for `protect`, by the form of values and by the names of columns.
//!
//! A form says that a value could be one, not that it is: what is told is a proposal for a person. Numbers with check
//! digits are checked: card numbers (Luhn, ISO/IEC 7812), IBAN (ISO 13616, mod 97), Spanish DNI and NIE (mod 23), Hong
//! Kong identity cards (mod 11). United States social security numbers and United Kingdom national insurance numbers
//! have none: they are told by their form with its forbidden parts.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A kind of personal data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Personal {
    /// `name@example.com`.
    Email,
    /// An international bank account number.
    Iban,
    /// The number of a payment card, 13 to 19 digits.
    CardNumber,
    /// A national identity number: of Spain, Hong Kong, the United Kingdom or the United States.
    NationalId,
    /// An address of IPv4 or IPv6.
    IpAddress,
    /// A telephone number: with `+` and a country, or in the form of North America.
    Phone,
    /// A person's name: by the column's name alone.
    Name,
    /// Where somebody lives: by the column's name alone.
    Address,
    /// When somebody was born: by the column's name alone.
    Birth,
}

/// How many values look like each kind that a value can show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Counts([u64; Personal::SHOWN.len()]);

impl Counts {
    pub fn add(&mut self, kind: Option<Personal>) {
        let Some(kind) = kind else { return };
        let slots = Personal::SHOWN.into_iter().zip(&mut self.0);
        slots
            .filter(|(shown, _)| *shown == kind)
            .for_each(|(_, count)| *count = count.saturating_add(1));
    }

    pub fn merge(&mut self, other: &Counts) {
        self.0
            .iter_mut()
            .zip(other.0)
            .for_each(|(mine, theirs)| *mine = mine.saturating_add(theirs));
    }

    /// The kind that most values look like, of equals the first; none if no value looks like any.
    pub fn most(&self) -> Option<(Personal, u64)> {
        let counts = Personal::SHOWN.into_iter().zip(self.0).rev();
        counts.max_by_key(|(_, count)| *count).filter(|(_, count)| *count > 0)
    }
}

impl Personal {
    /// The kinds that a value can show, the most telling first.
    const SHOWN: [Personal; 6] = [
        Personal::Email,
        Personal::Iban,
        Personal::CardNumber,
        Personal::NationalId,
        Personal::IpAddress,
        Personal::Phone,
    ];

    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Personal::Email => "e-mail address",
            Personal::Iban => "IBAN",
            Personal::CardNumber => "card number",
            Personal::NationalId => "national identity number",
            Personal::IpAddress => "IP address",
            Personal::Phone => "telephone number",
            Personal::Name => "name of a person",
            Personal::Address => "postal address",
            Personal::Birth => "date of birth",
        }
    }

    /// What `text` looks like.
    pub fn of(text: &str) -> Option<Personal> {
        let text = text.trim();
        // The longest that any form has; and nothing below 6 characters is one.
        if !(6..=254).contains(&text.len()) {
            return None;
        }
        let forms: [fn(&str) -> bool; Personal::SHOWN.len()] =
            [is_email, is_iban, is_card_number, is_national_id, is_ip_address, is_phone];
        Personal::SHOWN.into_iter().zip(forms).find(|(_, form)| form(text)).map(|(kind, _)| kind)
    }

    /// What a whole number looks like: a card number or nothing.
    pub fn of_number(x: i64) -> Option<Personal> {
        (x >= 1_000_000_000_000 && is_card_number(&x.to_string())).then_some(Personal::CardNumber)
    }

    /// What the column `name` says that it holds.
    pub fn of_name(name: &str) -> Option<Personal> {
        // Words of `customerEmail`, `customer_email`, `Customer E-Mail`.
        let mut plain = String::new();
        let mut before = ' ';
        for c in name.chars() {
            if c.is_uppercase() && before.is_lowercase() {
                plain.push('_');
            }
            plain.extend(if c.is_alphanumeric() { c } else { '_' }.to_lowercase());
            before = c;
        }
        let words: Vec<&str> = plain.split('_').filter(|word| !word.is_empty()).collect();
        let said = format!("_{}_", words.join("_"));
        let (_, kind) = NAMES
            .iter()
            .find(|(names, _)| names.iter().any(|n| said.contains(&format!("_{n}_"))))?;
        Some(*kind)
    }
}

/// Words of columns' names.
const NAMES: [(&[&str], Personal); 9] = [
    (&["email", "e_mail", "mail", "email_address"], Personal::Email),
    (&["iban", "account_number", "bank_account"], Personal::Iban),
    (&["card_number", "card_no", "cc_number", "pan", "credit_card"], Personal::CardNumber),
    (
        &[
            "ssn",
            "nino",
            "dni",
            "nie",
            "hkid",
            "passport",
            "passport_number",
            "national_id",
            "identity_number",
            "social_security_number",
            "tax_id",
            "driver_license",
            "driving_licence",
        ],
        Personal::NationalId,
    ),
    (&["ip", "ip_address", "ipaddress", "remote_addr", "client_ip"], Personal::IpAddress),
    (&["phone", "phone_number", "telephone", "mobile_number", "msisdn", "fax"], Personal::Phone),
    (
        &[
            "first_name",
            "last_name",
            "surname",
            "full_name",
            "given_name",
            "family_name",
            "customer_name",
            "cardholder_name",
            "cardholder",
            "maiden_name",
        ],
        Personal::Name,
    ),
    (
        &["street", "street_address", "home_address", "postal_address", "address_line"],
        Personal::Address,
    ),
    (&["birth", "birthday", "birth_date", "birthdate", "date_of_birth", "dob"], Personal::Birth),
];

fn is_email(text: &str) -> bool {
    let Some((user, host)) = text.rsplit_once('@') else { return false };
    let of_user = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let top = host.rsplit('.').next().unwrap_or_default();
    (1..=64).contains(&user.len())
        && user.chars().all(of_user)
        && host.contains('.')
        && host.split('.').all(label)
        && top.chars().count() >= 2
        && top.chars().any(char::is_alphabetic)
}

/// The text without the signs that group digits; none if it holds anything but ASCII letters, digits and these.
fn compact(text: &str, signs: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' => out.push(byte),
            b'a'..=b'z' => out.push(byte.to_ascii_uppercase()),
            sign if signs.contains(&sign) => {}
            _ => return None,
        }
    }
    Some(out)
}

fn digits(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_digit)
}

fn is_iban(text: &str) -> bool {
    let Some(iban) = compact(text, b" ") else { return false };
    let Some((head, rest)) = iban.split_at_checked(4) else { return false };
    if !(15..=34).contains(&iban.len())
        || !head[..2].iter().all(u8::is_ascii_alphabetic)
        || !digits(&head[2..])
    {
        return false;
    }
    let remainder = rest.iter().chain(head).fold(0u32, |sum, &byte| match byte {
        b'0'..=b'9' => (sum * 10 + u32::from(byte - b'0')) % 97,
        _ => (sum * 100 + u32::from(byte - b'A') + 10) % 97,
    });
    remainder == 1
}

fn is_card_number(text: &str) -> bool {
    let Some(number) = compact(text, b" -") else { return false };
    // A first digit of 2 to 6 is of the networks of payment cards, and no Unix time has it.
    if !(13..=19).contains(&number.len()) || !digits(&number) || !matches!(number[0], b'2'..=b'6') {
        return false;
    }
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(at, byte)| {
            let digit = u32::from(byte - b'0') << (at % 2);
            if digit > 9 { digit - 9 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

fn is_national_id(text: &str) -> bool {
    is_ssn(text) || is_nino(text) || is_dni(text) || is_hkid(text)
}

/// `AAA-GG-SSSS`, no part all zeros, the first neither 666 nor above 899.
fn is_ssn(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [area, group, serial] = parts[..] else { return false };
    (area.len(), group.len(), serial.len()) == (3, 2, 4)
        && [area, group, serial].iter().all(|part| digits(part.as_bytes()))
        && !matches!(area, "000" | "666")
        && !area.starts_with('9')
        && group != "00"
        && serial != "0000"
}

/// `AA999999A`, with letters that are given out.
fn is_nino(text: &str) -> bool {
    let Some(id) = compact(text, b" ") else { return false };
    let [a, b, number @ .., suffix] = &id[..] else { return false };
    number.len() == 6
        && digits(number)
        && !b"DFIQUV0123456789".contains(a)
        && !b"DFIQUVO0123456789".contains(b)
        && !matches!(
            (a, b),
            (b'B', b'G')
                | (b'G', b'B')
                | (b'N', b'K')
                | (b'K', b'N')
                | (b'T', b'N')
                | (b'N', b'T')
                | (b'Z', b'Z')
        )
        && (b'A'..=b'D').contains(suffix)
}

/// Eight digits and a letter, or X, Y, Z, seven digits and a letter.
fn is_dni(text: &str) -> bool {
    const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";
    let Some(id) = compact(text, b"-") else { return false };
    let Some((letter, number)) = id.split_last() else { return false };
    let Some((first, rest)) = number.split_first().filter(|_| number.len() == 8) else {
        return false;
    };
    let first = match first {
        b'X' => 0,
        b'Y' => 1,
        b'Z' => 2,
        b'0'..=b'9' => u32::from(first - b'0'),
        _ => return false,
    };
    let whole = |sum: u32, byte: &u8| sum * 10 + u32::from(byte.wrapping_sub(b'0'));
    digits(rest) && LETTERS[(rest.iter().fold(first, whole) % 23) as usize] == *letter
}

/// One or two letters, six digits, and a check digit in brackets: `A123456(3)`.
fn is_hkid(text: &str) -> bool {
    let Some((id, check)) = text.strip_suffix(')').and_then(|text| text.split_once('(')) else {
        return false;
    };
    let (id, check) = (id.as_bytes(), check.as_bytes());
    let letters = id.len().wrapping_sub(6);
    if !matches!(letters, 1 | 2)
        || !id[..letters].iter().all(u8::is_ascii_uppercase)
        || !digits(&id[letters..])
        || check.len() != 1
    {
        return false;
    }
    let value = |byte: u8| match byte {
        b'0'..=b'9' => u32::from(byte - b'0'),
        b'A'..=b'Z' => u32::from(byte - b'A') + 10,
        _ => 36,
    };
    // A missing first letter counts as a blank, 36. An `A` as the check digit is 10.
    let first = if letters == 1 { 36 * 9 } else { 0 };
    let weights = (2..=if letters == 1 { 8 } else { 9 }).rev();
    let sum: u32 = id.iter().zip(weights).map(|(byte, weight)| value(*byte) * weight).sum();
    matches!(check[0], b'0'..=b'9' | b'A') && (first + sum + value(check[0])).is_multiple_of(11)
}

fn is_ip_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

/// `+` and 8 to 15 digits, or `(ddd) ddd-dddd` and its kin with the parts set apart.
fn is_phone(text: &str) -> bool {
    let grouped = text.bytes().all(|b| b.is_ascii_digit() || b" -.()+/".contains(&b));
    let count = text.bytes().filter(u8::is_ascii_digit).count();
    if !grouped {
        return false;
    }
    if let Some(rest) = text.strip_prefix('+') {
        return (8..=15).contains(&count) && !rest.contains('+') && !rest.starts_with('0');
    }
    let parts: Vec<&str> =
        text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty()).collect();
    let [area, exchange, line] = parts[..] else { return false };
    (area.len(), exchange.len(), line.len()) == (3, 3, 4)
        && area.starts_with(|c| ('2'..='9').contains(&c))
        && exchange.starts_with(|c| ('2'..='9').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        for (kind, texts) in [
            (Personal::Email, &["ann@example.com", " a.b+c@x-y.co.uk ", "é@exämple.de"][..]),
            (
                Personal::CardNumber,
                &[
                    "4111 1111 1111 1111",
                    "5500-0000-0000-0004",
                    "378282246310005",
                    "6011000990139424",
                ],
            ),
            (Personal::Iban, &["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000"]),
            (
                Personal::NationalId,
                &[
                    "078-05-1120",
                    "AB 12 34 56 C",
                    "12345678Z",
                    "X1234567L",
                    "A123456(3)",
                    "AB987654(3)",
                ],
            ),
            (Personal::IpAddress, &["192.168.0.1", "2001:db8::1"]),
            (
                Personal::Phone,
                &["+44 20 7946 0958", "(415) 555-2671", "415-555-2671", "415.555.2671"],
            ),
        ] {
            for text in texts {
                assert_eq!(Personal::of(text), Some(kind), "{text}");
            }
        }
        for text in [
            "",
            "a@b",
            "a@b.1",
            "@example.com",
            "a b@example.com",
            "4111 1111 1111 1112",
            "1767225600123",
            "GB83WEST12345698765432",
            "078-00-1120",
            "666-05-1120",
            "DA123456C",
            "12345678A",
            "A123456(4)",
            "2024-01-01",
            "2024-01-01T00:00:00Z",
            "123456",
            "1.2.3",
            "415-155-2671",
            "tx_4111111111111111",
            "+0123456789",
            "99999999",
            "12:30:00",
        ] {
            assert_eq!(Personal::of(text), None, "{text}");
        }
        assert_eq!(Personal::of_number(4_111_111_111_111_111), Some(Personal::CardNumber));
        assert_eq!(Personal::of_number(1_767_225_600_123), None);
    }

    #[test]
    fn names() {
        for (name, kind) in [
            ("email", Some(Personal::Email)),
            ("customerEmail", Some(Personal::Email)),
            ("Customer E-Mail", Some(Personal::Email)),
            ("card_number", Some(Personal::CardNumber)),
            ("client_ip", Some(Personal::IpAddress)),
            ("first_name", Some(Personal::Name)),
            ("date_of_birth", Some(Personal::Birth)),
            ("merchant_name", None),
            ("company", None),
            ("ship_date", None),
            ("span", None),
        ] {
            assert_eq!(Personal::of_name(name), kind, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text: String, form in "[A-Z0-9a-z+(). @:-]{0,24}") {
            Personal::of(&text);
            Personal::of(&form);
            Personal::of_name(&text);
        }
    }
}

//! The patterns of `output`: `*` stands for any characters, also none.

/// True if `name` is of the form of `pattern`.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// False if no name that begins with `prefix` is of the form of `pattern`. True may mean that there is none, too.
pub(super) fn may_match(pattern: &str, prefix: &str) -> bool {
    match pattern.split_once('*') {
        Some((head, _)) => head.starts_with(prefix) || prefix.starts_with(head),
        None => pattern.len() > prefix.len() && pattern.starts_with(prefix),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("", "", true),
            ("*", "", true),
            ("*", "abc", true),
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*a", "a", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c", false),
            ("*é*", "né", true),
            ("*_1h", "amount_sum_1h", true),
            ("*_1h", "amount_sum_24h", false),
            ("**", "x", true),
            ("b*", "abc", false),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        for (pattern, prefix, expected) in [
            ("channel_*", "channel_", true),
            ("chan*", "channel_", true),
            ("channel_w*", "channel_", true),
            ("*_web", "channel_", true),
            ("country_*", "channel_", false),
            ("channel_web", "channel_", true),
            ("channel_", "channel_", false),
        ] {
            assert_eq!(may_match(pattern, prefix), expected, "{pattern} {prefix}");
        }
    }
}

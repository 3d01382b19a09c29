//! What a request weighs that draws on a pass: a page that polls asks for the same objects again and again, and takes
//! next to nothing new.

use siphasher::sip::SipHasher13;
use std::hash::Hasher;

/// So many light requests weigh as much as one.
const LIGHT: u8 = 10;
/// Objects that are remembered of a pass, the latest: of ten pages that poll, some thirty are under way.
const OBJECTS: usize = 32;
/// What pages are dressed in. Nobody comes for these.
const FURNITURE: [&str; 6] = ["css", "js", "mjs", "woff", "woff2", "ico"];

/// Weighs the requests that draw on one pass. Bytes are not its business: they count whole, however often they are sent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scale {
    /// Sixteen bits of a keyed hash each; 0 is none. One in two thousand objects is taken for one of them, which gives away
    /// less than a thousandth of a budget.
    lately: [u16; OBJECTS],
    light: u8,
}

impl Scale {
    /// How many requests the budget is less by one for the object at `path`. `secret` keys the hash.
    pub fn weigh(&mut self, path: &str, secret: &[u8; 16]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(secret);
        hasher.write(path.as_bytes());
        let came_before = self.has_seen(hasher.finish());
        if !came_before && !is_furniture(path) {
            return 1;
        }
        self.light = (self.light + 1) % LIGHT;
        u64::from(self.light == 0)
    }

    /// Whether an object is among the latest, of which it is the first from now on.
    fn has_seen(&mut self, hash: u64) -> bool {
        let mark = (hash % u64::from(u16::MAX)) as u16 + 1;
        let known = self.lately.iter().position(|known| *known == mark);
        self.lately[..=known.unwrap_or(OBJECTS - 1)].rotate_right(1);
        self.lately[0] = mark;
        known.is_some()
    }
}

fn is_furniture(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    FURNITURE.iter().any(|known| known.eq_ignore_ascii_case(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weight<'a>(scale: &mut Scale, paths: impl IntoIterator<Item = &'a str>) -> u64 {
        paths.into_iter().map(|path| scale.weigh(path, &[7; 16])).sum()
    }

    #[test]
    fn what_is_fetched_again_weighs_a_tenth() {
        let mut scale = Scale::default();
        assert_eq!(weight(&mut scale, ["/a"]), 1);
        assert_eq!(weight(&mut scale, ["/a"; 100]), 10);
        // Ten pages that poll, each with its list and a piece that is new every time.
        let mut scale = Scale::default();
        for round in 0..100 {
            let paths: Vec<String> =
                (0..10).flat_map(|tab| [format!("/{tab}/list"), format!("/{tab}/{round}")]).collect();
            let weighed = weight(&mut scale, paths.iter().map(String::as_str));
            assert!(weighed == if round == 0 { 20 } else { 11 }, "{round}: {weighed}");
        }
    }

    #[test]
    fn what_is_new_weighs_whole_and_what_was_long_ago_is_new() {
        let mut scale = Scale::default();
        let paths: Vec<String> = (0..OBJECTS as u32 + 1).map(|number| format!("/{number}")).collect();
        for _ in 0..3 {
            let weighed = weight(&mut scale, paths.iter().map(String::as_str));
            assert_eq!(weighed, OBJECTS as u64 + 1, "whoever goes through a site gains nothing");
        }
    }

    #[test]
    fn furniture_weighs_a_tenth_by_its_name() {
        let mut scale = Scale::default();
        let paths: Vec<String> = (0..20).map(|number| format!("/{number}/app.JS")).collect();
        assert_eq!(weight(&mut scale, paths.iter().map(String::as_str)), 2);
        assert_eq!(weight(&mut scale, ["/js", "/a.css/log", "/log.", "/a.js.gz"]), 4);
    }
}

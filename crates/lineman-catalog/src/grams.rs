use std::collections::HashMap;
use std::ops::Range;

/// Bytes by which a needle is told from other text.
const WIDE: usize = 8;
/// The same of a needle that is too short for that.
const NARROW: usize = 4;
/// Most bytes from one place that is looked at to the next.
const WIDEST_STEP: usize = 4;
/// The filter has two to this power of bits: 128 KiB, which a core keeps at hand.
const BITS: u32 = 20;
const WORDS: usize = 1 << (BITS - u64::BITS.ilog2());

/// Finds needles in a text, without case, and looks at every few bytes of it only.
///
/// Wherever a needle stands, one of the places that are looked at falls into a window of it that
/// is a few bytes long, and there the text goes on with one of the window's *grams*: four or eight
/// bytes in a row. A Bloom filter of all grams says nearly everywhere that there is none. An automaton
/// of thousands of needles would ask the memory at each byte, and for more of it than a core keeps
/// at hand.
#[derive(Debug)]
pub(crate) struct Grams {
    needles: Vec<String>,
    filter: Box<[u64]>,
    /// Of which needles a gram is, and where in them.
    owners: HashMap<u64, Vec<(usize, usize)>>,
    step: usize,
}

impl Grams {
    /// The length of the shortest needle that can be found, in bytes.
    pub(crate) const SHORTEST: usize = NARROW;

    /// For needles of at least [`Grams::SHORTEST`] bytes; shorter ones are not found.
    pub(crate) fn new(mut needles: Vec<String>) -> Grams {
        needles.retain(|needle| needle.len() >= Grams::SHORTEST);
        let shortest = needles.iter().map(String::len).min().unwrap_or(usize::MAX);
        let step = WIDEST_STEP.min(shortest - NARROW + 1);
        let often = Often::new(&needles);
        let mut owners: HashMap<u64, Vec<(usize, usize)>> = HashMap::new();
        for (number, needle) in needles.iter().enumerate() {
            let is_wide = needle.len() >= WIDE + step - 1;
            let width = if is_wide { WIDE } else { NARROW };
            let window = often.rarest(needle.as_bytes(), width + step - 1);
            for at in window.start..window.start + step {
                let gram = wide(&needle.as_bytes()[at..window.end]);
                owners.entry(if is_wide { gram } else { narrow(gram) }).or_default().push((number, at));
            }
        }
        let mut filter = vec![0; WORDS];
        for place in owners.keys().flat_map(|gram| places(*gram)) {
            filter[place / 64] |= 1 << (place % 64);
        }
        Grams { needles, filter: filter.into(), owners, step }
    }

    /// The needles that are too short for the widest step.
    #[cfg(test)]
    pub(crate) fn too_short(&self) -> Vec<&str> {
        let is_short = |needle: &&str| needle.len() < NARROW + WIDEST_STEP - 1;
        self.needles.iter().map(String::as_str).filter(is_short).collect()
    }

    /// The first needle.
    pub(crate) fn find(&self, text: &[u8]) -> Option<Range<usize>> {
        let mut at = 0;
        while at < text.len() {
            let gram = wide(&text[at..]);
            let (wides, narrows) = (places(gram), places(narrow(gram)));
            // One branch for both, hardly ever taken.
            if self.bit(wides[0]) | self.bit(narrows[0]) == 1 {
                let both = [(gram, wides), (narrow(gram), narrows)];
                let found = both.into_iter().find_map(|(gram, places)| self.needle_at(text, at, gram, places));
                if found.is_some() {
                    return found;
                }
            }
            at += self.step;
        }
        None
    }

    fn bit(&self, place: usize) -> u64 {
        self.filter[place / 64] >> (place % 64) & 1
    }

    /// A needle around a place where the text goes on with a gram.
    fn needle_at(&self, text: &[u8], at: usize, gram: u64, places: [usize; 2]) -> Option<Range<usize>> {
        if places.iter().any(|&place| self.bit(place) == 0) {
            return None;
        }
        self.owners.get(&gram)?.iter().find_map(|&(number, offset)| {
            let needle = self.needles[number].as_bytes();
            let start = at.checked_sub(offset)?;
            let range = start..start + needle.len();
            text.get(range.clone())?.eq_ignore_ascii_case(needle).then_some(range)
        })
    }
}

/// How often needles have what they have: what many share is common elsewhere, too.
struct Often<'n>(HashMap<&'n [u8], usize>);

impl<'n> Often<'n> {
    fn new(needles: &'n [String]) -> Often<'n> {
        let mut often = HashMap::new();
        needles
            .iter()
            .flat_map(|needle| needle.as_bytes().windows(NARROW))
            .for_each(|part| *often.entry(part).or_default() += 1);
        Often(often)
    }

    /// The rarest part of a needle that has a length.
    fn rarest(&self, needle: &[u8], length: usize) -> Range<usize> {
        let often = |part: &[u8]| self.0.get(part).copied().unwrap_or(0);
        let often = |window: &[u8]| window.windows(NARROW).map(often).sum::<usize>();
        let windows = needle.windows(length).enumerate();
        let start = windows.min_by_key(|(_, window)| often(window)).map_or(0, |(start, _)| start);
        start..start + length
    }
}

/// The places in the filter that stand for a gram.
fn places(gram: u64) -> [usize; 2] {
    // Fibonacci hashing: the high bits of the product depend on all of the gram's.
    let hash = gram.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let place = |hash: u64| (hash >> (u64::BITS - BITS)) as usize;
    [place(hash), place(hash << BITS)]
}

/// The wide gram that a text begins with, without case; what ends before is filled up.
fn wide(text: &[u8]) -> u64 {
    let bytes = match text.first_chunk() {
        Some(bytes) => *bytes,
        None => std::array::from_fn(|at| text.get(at).copied().unwrap_or_default()),
    };
    u64::from_le_bytes(bytes) | u64::from_le_bytes([0x20; WIDE])
}

/// The narrow gram that a wide one begins with.
fn narrow(wide: u64) -> u64 {
    wide << (8 * (WIDE - NARROW))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_wherever_it_stands() {
        let long = "the security token included in the request is expired";
        // With the shortest one the step changes.
        for shortest in 4..=9 {
            let needles: Vec<String> = (shortest..long.len()).map(|end| long[end - shortest..end].to_owned()).collect();
            let all = Grams::new(needles.iter().cloned().chain([long.to_owned(), "no".to_owned()]).collect());
            for needle in needles.iter().map(String::as_str).chain([long]) {
                let alone = Grams::new(vec![needle.to_owned()]);
                for before in 0..12 {
                    for after in [0, 1, 9] {
                        let text = format!("{}{}{}", ".".repeat(before), needle.to_uppercase(), "~".repeat(after));
                        let place = before..before + needle.len();
                        assert_eq!(alone.find(text.as_bytes()), Some(place.clone()), "{needle:?} in {text:?}");
                        let found =
                            all.find(text.as_bytes()).map(|found| place.start <= found.start && found.end <= place.end);
                        assert_eq!(found, Some(true), "{text:?}");
                        assert_eq!(alone.find(&text.as_bytes()[..place.end - 1]), None, "{text:?} without its end");
                    }
                }
            }
        }
        assert_eq!(Grams::new(Vec::new()).find(long.as_bytes()), None);
    }

    #[test]
    fn what_looks_like_a_needle_by_its_grams_is_none() {
        let grams = Grams::new(vec!["[expired".to_owned(), "@denied@".to_owned()]);
        // Without case these are the same bytes.
        assert_eq!(grams.find(b"{EXPIRED `denied`"), None);
        assert_eq!(grams.find(b"{EXPIRED `denied` [Expired"), Some(18..26));
    }
}

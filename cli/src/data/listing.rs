//! The files that file rules speak of, with their hashes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use leat::quality::Ruleset;
use leat::quality::listing::{DATA, File, HashAlgorithm, Listings, wanted};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::Data;
use super::find::{self, Item, Place};
use super::read::Source;
use crate::answer::Refusal;
use crate::places::{self, Places};
use crate::progress::Progress;

/// So many bytes are read at once.
const BLOCK: usize = 1 << 16;

/// Lists and hashes what the rules of `ruleset` ask for; `data` is what they are evaluated on.
pub fn list(places: &Places, ruleset: &Ruleset, data: &Data<'_>) -> Result<Listings, Refusal> {
    let mut listings = Listings::new();
    for (path, hashes) in wanted(ruleset) {
        let found;
        let items = if path == DATA {
            data.items()
        } else {
            found = find::listing(places, &path)?;
            found.as_slice()
        };
        let files = items
            .iter()
            .filter(|item| !matches!(item.place, Place::Stdin | Place::Memory(_)))
            .map(|item| file(places, item, &hashes))
            .collect::<Result<Vec<_>, _>>()?;
        listings.insert(path, files);
    }
    Ok(listings)
}

fn file(places: &Places, item: &Item, wanted: &BTreeSet<HashAlgorithm>) -> Result<File, Refusal> {
    let mut hashes = BTreeMap::new();
    let mut bytes = item.size;
    if !wanted.is_empty() || bytes.is_none() {
        let progress = Progress::bytes("hashing", item.size);
        let source = Source { item, landed: false, progress: &progress };
        let (mut md5, mut sha1, mut sha256) = (Md5::new(), Sha1::new(), Sha256::new());
        let mut input = source.open(places)?;
        let mut block = vec![0; BLOCK];
        let mut read = 0;
        loop {
            let count = input.read(&mut block).map_err(|why| {
                let why = places::why_of(&why);
                Refusal::new(format!("cannot read {} to its end: {why}", item.name))
            })?;
            if count == 0 {
                break;
            }
            read += count as u64;
            for algorithm in wanted {
                match algorithm {
                    HashAlgorithm::Md5 => md5.update(&block[..count]),
                    HashAlgorithm::Sha1 => sha1.update(&block[..count]),
                    HashAlgorithm::Sha256 => sha256.update(&block[..count]),
                }
            }
        }
        progress.finish();
        bytes = Some(read);
        let digests = [
            (HashAlgorithm::Md5, hex(&md5.finalize())),
            (HashAlgorithm::Sha1, hex(&sha1.finalize())),
            (HashAlgorithm::Sha256, hex(&sha256.finalize())),
        ];
        hashes.extend(digests.into_iter().filter(|(algorithm, _)| wanted.contains(algorithm)));
    }
    Ok(File {
        path: item.name.clone(),
        bytes: bytes.unwrap_or_default(),
        modified: item.modified,
        hashes,
    })
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

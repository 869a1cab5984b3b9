//! Compute: elements whose text was there before, in the item, the run or a collection.

use std::collections::{HashMap, HashSet};

use nvisy_shared::{
    domain::failure::{Failure, FailureCode},
    pipeline::node::deduplicate::{Deduplicate, Scope},
    store::{
        self, TransactionTrait,
        chunk::input_hash,
        fingerprint::{Fingerprint, FingerprintScope, Owner},
    },
};
use uuid::Uuid;

use super::{chunking::compute, minhash::Signature};
use crate::{
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::Elements,
    },
    runner::JobError,
};

/// Elements whose fingerprints are compared with those of other files at once.
const BATCH_SIZE: usize = 500;

impl Behaviour for Deduplicate {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let similarity = self.similarity;
        let (input, mut duplicates, prints) = compute(move || {
            let prints = prints(&input, similarity)?;
            let duplicates = within(&prints, similarity);
            Ok::<_, JobError>((input, duplicates, prints))
        })
        .await??;
        if let Some(scope) = scope(self, call).await? {
            let unique: Vec<usize> = (0..prints.len()).filter(|place| !duplicates[*place]).collect();
            for place in of_others(call, scope, similarity, &prints, &unique).await? {
                duplicates[place] = true;
            }
        }
        let (unique, others) =
            (input.clone().select(|place| !duplicates[place]), input.select(|place| duplicates[place]));
        Ok(Output::ports(vec![unique, others]))
    }
}

/// Where fingerprints of other files are looked up; `None`: only the item's own elements count.
async fn scope(settings: &Deduplicate, call: &Call<'_>) -> Result<Option<FingerprintScope>, JobError> {
    match (settings.scope, &settings.collection) {
        (Scope::Item, _) => Ok(None),
        (Scope::Run, _) => Ok(Some(FingerprintScope::Run(call.run))),
        (Scope::Collection, name) => {
            let name = name.as_deref().unwrap_or_default();
            let found = store::collection::spaces(&call.cx.db, call.workspace).await?;
            let found = found.into_iter().find(|collection| collection.name == name).ok_or_else(|| {
                let detail = format!("there is no collection `{name}`: create it, or name another one");
                JobError::Fail(Failure::new(FailureCode::CollectionNotFound, detail))
            })?;
            Ok(Some(FingerprintScope::Collection(found.id)))
        }
    }
}

/// The fingerprint of a text.
pub(super) struct Print {
    /// Of the text regardless of white space.
    hash: Uuid,
    signature: Option<Signature>,
    bands: Vec<i64>,
}

/// The fingerprints of all elements.
pub(super) fn prints(elements: &Elements, similarity: Option<f64>) -> Result<Vec<Print>, JobError> {
    let print = |text: &str| {
        let signature = similarity.map(|_| Signature::of(text));
        Print {
            hash: input_hash(&text.split_whitespace().collect::<Vec<_>>().join(" ")),
            bands: signature
                .iter()
                .zip(similarity)
                .flat_map(|(signature, similarity)| signature.bands(similarity))
                .collect(),
            signature,
        }
    };
    match elements {
        Elements::Documents(documents) => Ok(documents.iter().map(|element| print(&element.document.text)).collect()),
        Elements::Chunks(chunks) => Ok(chunks.iter().map(|chunk| print(&chunk.text)).collect()),
        Elements::Records(records) => Ok(records.iter().map(|record| print(&record.row.to_string())).collect()),
        Elements::Bytes(_) | Elements::Vectors(_) => Err(wrong_input("deduplicate")),
    }
}

/// Whether an element is a duplicate of one before it in the list.
pub(super) fn within(prints: &[Print], similarity: Option<f64>) -> Vec<bool> {
    let mut hashes = HashSet::new();
    // Unique elements by band.
    let mut bands: HashMap<i64, Vec<usize>> = HashMap::new();
    let mut is_duplicate = |place: usize, print: &Print| {
        if !hashes.insert(print.hash) {
            return true;
        }
        let (Some(similarity), Some(signature)) = (similarity, &print.signature) else { return false };
        let candidates = print.bands.iter().filter_map(|band| bands.get(band)).flatten();
        let near = |candidate: &usize| {
            prints[*candidate].signature.as_ref().is_some_and(|other| signature.similarity(other) >= similarity)
        };
        if candidates.into_iter().any(near) {
            return true;
        }
        for band in &print.bands {
            bands.entry(*band).or_default().push(place);
        }
        false
    };
    prints.iter().enumerate().map(|(place, print)| is_duplicate(place, print)).collect()
}

/// The places of elements that other files had before. The others are those of this file from now on, unless the call is a preview.
///
/// The claims are written at once, not with the job: a repeated job finds its own again, and jobs of other files must see them before.
async fn of_others(
    call: &Call<'_>,
    scope: FingerprintScope,
    similarity: Option<f64>,
    prints: &[Print],
    unique: &[usize],
) -> Result<Vec<usize>, JobError> {
    let owner = Owner { scope, pipeline: call.pipeline, node: call.node, file: call.file.id };
    let mut duplicates = Vec::new();
    let tx = call.cx.db.begin().await?;
    store::fingerprint::lock(&tx, call.workspace, &owner).await?;
    for places in unique.chunks(BATCH_SIZE) {
        let own = places.iter().map(|place| &prints[*place]);
        let hashes: Vec<Uuid> = own.clone().map(|print| print.hash).collect();
        let bands: Vec<i64> = own.flat_map(|print| print.bands.clone()).collect();
        let others = store::fingerprint::of_others(&tx, call.workspace, &owner, &hashes, &bands).await?;
        let equal: HashSet<Uuid> = others.iter().map(|other| other.hash).collect();
        let signatures: Vec<_> =
            others.iter().filter_map(|other| Signature::from_bytes(other.signature.as_deref()?)).collect();
        duplicates.extend(places.iter().filter(|place| {
            let print = &prints[**place];
            let near = |similarity: f64, signature: &Signature| {
                signatures.iter().any(|other| signature.similarity(other) >= similarity)
            };
            equal.contains(&print.hash)
                || similarity
                    .zip(print.signature.as_ref())
                    .is_some_and(|(similarity, signature)| near(similarity, signature))
        }));
    }
    if !call.preview {
        let taken: HashSet<usize> = duplicates.iter().copied().collect();
        let own = unique.iter().filter(|place| !taken.contains(place)).map(|place| {
            let print = &prints[*place];
            let signature = print.signature.as_ref().map(Signature::to_bytes);
            Fingerprint { hash: print.hash, bands: print.bands.clone(), signature }
        });
        store::fingerprint::replace(&tx, call.workspace, &owner, own.collect()).await?;
    }
    tx.commit().await?;
    Ok(duplicates)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::pipeline::element::ChunkElement;

    fn duplicates(texts: &[&str], similarity: Option<f64>) -> Vec<bool> {
        let chunk = |text: &&str| ChunkElement {
            ordinal: 0,
            text: (*text).to_owned(),
            bytes: 0..text.len() as u64,
            page: None,
            place: None,
            headings: Vec::new(),
            tokens: 1,
            prefix: None,
            language: None,
            origin: Arc::default(),
        };
        let prints = prints(&Elements::Chunks(texts.iter().map(chunk).collect()), similarity).unwrap();
        within(&prints, similarity)
    }

    const LONG: &str =
        "The spring tide turns the blades of the turbines twice a day, and divers clean them at slack water.";

    #[test]
    fn equal_texts_are_duplicates_regardless_of_white_space() {
        assert_eq!(duplicates(&["one two", "three", "one\n two ", "One two"], None), [false, false, true, false]);
    }

    #[test]
    fn similar_texts_are_duplicates_from_the_similarity_on() {
        let near = LONG.replace("blades", "wheels");
        let texts = [LONG, near.as_str(), "Another text about seals on a sandbank at low water.", LONG];
        assert_eq!(duplicates(&texts, Some(0.7)), [false, true, false, true]);
        assert_eq!(duplicates(&texts, Some(1.0)), [false, false, false, true]);
    }
}

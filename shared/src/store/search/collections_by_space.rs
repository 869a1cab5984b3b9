//! The collections that a search reads in each space.

use std::collections::HashMap;

use crate::{
    id::{CollectionId, SpaceId},
    store::collection::CollectionSpace,
};

/// The collections to search in each space of which others of the search have vectors, too: those are of their second space, and often
/// not of all chunks. `searched` has each collection with the space in which it is searched. Other spaces are not in the result, and
/// their legs search all collections.
pub fn collections_by_space<'a>(
    searched: impl IntoIterator<Item = (&'a CollectionSpace, Option<SpaceId>)>,
) -> HashMap<SpaceId, Vec<CollectionId>> {
    let mut of_space: HashMap<SpaceId, Vec<CollectionId>> = HashMap::new();
    let mut held: Vec<SpaceId> = Vec::new();
    for (collection, space) in searched {
        if let Some(space) = space {
            of_space.entry(space).or_default().push(collection.id);
        }
        let spaces = collection.space_id.into_iter().chain(collection.partial_space_id);
        held.extend(spaces.filter(|other| Some(*other) != space));
    }
    of_space.retain(|space, _| held.contains(space));
    of_space
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collection(space: Option<SpaceId>, second: Option<SpaceId>) -> CollectionSpace {
        CollectionSpace {
            id: CollectionId::new(),
            name: String::new(),
            space_id: space,
            quantisation: None,
            connection_id: None,
            second_space_id: None,
            partial_space_id: second,
            has_superseded: false,
        }
    }

    #[test]
    fn space_that_is_the_second_of_another_collection_is_searched_in_its_own() {
        let [s, t] = [SpaceId::new(), SpaceId::new()];
        let collections = [collection(Some(s), None), collection(Some(t), Some(s)), collection(Some(s), Some(t))];
        let [a, b, c] = [0, 1, 2].map(|place| collections[place].id);
        let first = |places: &[usize]| {
            collections_by_space(places.iter().map(|place| (&collections[*place], collections[*place].space_id)))
        };
        assert_eq!(first(&[0, 1]), HashMap::from([(s, vec![a])]));
        assert_eq!(first(&[0, 1, 2]), HashMap::from([(s, vec![a, c]), (t, vec![b])]));
        assert_eq!(first(&[0]), HashMap::new());
        // A search of second spaces.
        let second = collections[1..].iter().map(|collection| (collection, collection.partial_space_id));
        assert_eq!(collections_by_space(second), HashMap::from([(s, vec![b]), (t, vec![c])]));
    }

    #[test]
    fn spaces_of_one_collection_each_need_no_list() {
        let collections =
            [collection(Some(SpaceId::new()), None), collection(Some(SpaceId::new()), None), collection(None, None)];
        let searched = collections.iter().map(|collection| (collection, collection.space_id));
        assert_eq!(collections_by_space(searched), HashMap::new());
    }
}

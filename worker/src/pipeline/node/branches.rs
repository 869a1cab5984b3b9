//! Dividing elements among the outputs of a switch.

use crate::pipeline::{contract::Output, element::Elements};

/// The elements by output, in order: element `i` goes to output `places[i]` of `count`.
pub(super) fn divide(elements: Elements, places: &[usize], count: usize) -> Output {
    let ports = match elements {
        Elements::Bytes(elements) => split(elements, places, count).map(Elements::Bytes).collect(),
        Elements::Documents(elements) => split(elements, places, count).map(Elements::Documents).collect(),
        Elements::Chunks(elements) => split(elements, places, count).map(Elements::Chunks).collect(),
        Elements::Vectors(elements) => split(elements, places, count).map(Elements::Vectors).collect(),
        Elements::Records(elements) => split(elements, places, count).map(Elements::Records).collect(),
    };
    Output::ports(ports)
}

fn split<T>(elements: Vec<T>, places: &[usize], count: usize) -> impl Iterator<Item = Vec<T>> {
    let mut ports: Vec<Vec<T>> = (0..count).map(|_| Vec::new()).collect();
    for (element, &place) in elements.into_iter().zip(places) {
        if let Some(port) = ports.get_mut(place) {
            port.push(element);
        }
    }
    ports.into_iter()
}

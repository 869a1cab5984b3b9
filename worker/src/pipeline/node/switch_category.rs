//! Route: a branch for each kind of file.

use nvisy_shared::pipeline::node::switch_category::{Category, SwitchCategory};

use super::branches::divide;
use crate::{
    media_type::category,
    pipeline::{
        contract::{Behaviour, Call, Output, wrong_input},
        element::Elements,
    },
    runner::JobError,
};

impl Behaviour for SwitchCategory {
    async fn run(&self, call: &Call<'_>, input: Elements) -> Result<Output, JobError> {
        let categories: Vec<Category> = match &input {
            Elements::Bytes(files) => files.iter().map(|file| category(&file.media_type, &file.name)).collect(),
            // A document has the category of the file that it was read from.
            Elements::Documents(documents) => {
                let file = &call.file.content;
                vec![category(&file.media_type, &file.name); documents.len()]
            }
            _ => return Err(wrong_input("switch.category")),
        };
        let places: Vec<usize> = categories.into_iter().map(|category| place(self, category)).collect();
        Ok(divide(input, &places, self.branches.len() + 1))
    }
}

fn place(settings: &SwitchCategory, category: Category) -> usize {
    let place = settings.branches.values().position(|categories| categories.contains(&category));
    place.unwrap_or(settings.branches.len())
}

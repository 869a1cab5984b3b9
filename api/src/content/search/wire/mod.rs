//! Requests and responses of the search operations.

mod batch;
mod controls;
mod expand_schema;
mod explanation;
mod facets;
mod language;
mod request;
mod rerank;
mod response;
mod similar;
mod snippet;

pub use self::{
    batch::{SearchBatchRequest, SearchBatchResponse},
    controls::{BoostOption, MAX_BOOSTS, RecencyOption, ThresholdOption, WeightsOption, choice},
    language::{QueryLanguage, language},
    request::{AccentsOption, Mode, ResponseParts, SearchRequest},
    rerank::{RerankOption, RerankSchema},
    response::SearchResponse,
    similar::SimilarRequest,
};

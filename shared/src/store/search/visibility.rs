//! The targets that a search reads: those of now, or of a past time.

use chrono::{DateTime, Utc};

use super::parameters::Parameters;

/// The time of which a search finds passages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
    /// Now: live targets.
    #[default]
    Live,
    /// A past time: targets that were live then, and that are kept.
    At(DateTime<Utc>),
}

impl Visibility {
    /// The past time.
    #[must_use]
    pub const fn past(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Live => None,
            Self::At(time) => Some(time),
        }
    }

    /// The condition on a row `t` of `target`.
    pub(in crate::store) fn condition(self, parameters: &mut Parameters) -> String {
        match self {
            Self::Live => "t.live".to_owned(),
            Self::At(time) => {
                let time = parameters.bind(time);
                // Each side of `or` can use a partial index of `target`.
                format!("(t.published_at <= {time} and (t.live or t.superseded_at > {time}))")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    #[test]
    fn search_of_now_binds_no_time() {
        let mut parameters = Parameters::default();
        assert_eq!(Visibility::Live.condition(&mut parameters), "t.live");
        assert_eq!(parameters.into_statement(String::new()).values.map(|values| values.0.len()), Some(0));
    }

    #[test]
    fn search_of_a_past_time_binds_it_once() {
        let mut parameters = Parameters::default();
        let condition = Visibility::At(clock::now()).condition(&mut parameters);
        assert!(condition.contains("t.superseded_at > "), "{condition}");
        assert_eq!(parameters.into_statement(String::new()).values.map(|values| values.0.len()), Some(1));
    }
}

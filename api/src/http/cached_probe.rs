//! What is asked at most so often, however many want to know.

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

/// The last answer, which is given again until it is too old; of those who come then one asks for all.
#[derive(Debug)]
pub struct Lately<T> {
    last: Mutex<Option<(Instant, T)>>,
    age: Duration,
}

impl<T: Clone> Lately<T> {
    pub fn new(age: Duration) -> Self {
        Self { last: Mutex::new(None), age }
    }

    pub async fn get(&self, asking: impl Future<Output = T>) -> T {
        let mut last = self.last.lock().await;
        if let Some((_, answer)) = last.as_ref().filter(|(asked, _)| asked.elapsed() < self.age) {
            return answer.clone();
        }
        // Not of when the answer came: it may have taken long, and is as old as the question.
        let asked = Instant::now();
        let answer = asking.await;
        *last = Some((asked, answer.clone()));
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::future::join_all;

    use super::*;

    #[actix_web::test]
    async fn of_many_who_ask_at_the_same_time_one_does() {
        let (lately, asked) = (Lately::new(Duration::from_secs(3600)), Cell::new(0));
        let answers = join_all((0..100).map(|_| {
            lately.get(async {
                tokio::task::yield_now().await;
                asked.set(asked.get() + 1);
                asked.get()
            })
        }));
        assert_eq!(answers.await, [1; 100]);
        assert_eq!(asked.get(), 1);
    }

    #[actix_web::test]
    async fn an_answer_that_is_too_old_is_not_given_again() {
        let lately = Lately::new(Duration::ZERO);
        assert_eq!(lately.get(async { 1 }).await, 1);
        assert_eq!(lately.get(async { 2 }).await, 2);
    }

    #[actix_web::test]
    async fn whoever_gives_up_holds_up_nobody() {
        let lately = Lately::new(Duration::from_secs(3600));
        {
            let mut stuck = Box::pin(lately.get(std::future::pending()));
            assert!(futures::poll!(&mut stuck).is_pending());
        }
        assert_eq!(lately.get(async { 2 }).await, 2);
    }
}

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn mistakes(source: &str) -> String {
    match Expression::parse(source, Expected::Bool) {
        Ok(_) => String::new(),
        Err(error) => error.to_string(),
    }
}

fn holds(source: &str, variables: &Variables) -> Result<bool, EvaluationError> {
    Expression::parse(source, Expected::Bool).unwrap_or_else(|error| panic!("{source}: {error}")).holds(variables)
}

#[test]
fn conditions_over_the_variables_are_evaluated() {
    let variables = Variables { metadata: json!({ "pages": [1, 2, 30], "ratio": 0.5 }), ..Variables::example() };
    for (source, expected) in [
        ("file.size > 20000", true),
        ("file.name.endsWith('.pdf') && file.mediaType == 'application/pdf'", true),
        ("'report' in file.tags", true),
        ("size(file.tags) == 0", false),
        ("metadata.pages.exists(page, page > 20)", true),
        ("metadata.pages.all(page, page > 20)", false),
        ("has(metadata.missing)", false),
        ("!has(metadata.missing) || metadata.missing == 1", true),
        ("metadata.ratio < 1", true),
        ("timestamp(file.createdAt) < timestamp('2026-06-01T00:00:00Z')", true),
        ("document.language == 'en' && document.confidence >= 0.5", true),
        ("item.text.matches('T[a-z]+ energy')", true),
        ("metadata.pages.filter(page, page > 1).map(page, page * 2) == [4, 60]", true),
        ("file['size'] > 1 ? true : false", true),
    ] {
        assert_eq!(holds(source, &variables), Ok(expected), "{source}");
    }
}

#[test]
fn mistakes_are_found_before_evaluation() {
    for (source, message) in [
        ("", "must have 1 to"),
        ("file.size >", "at line 1, column"),
        ("files.size > 1", "`files` is no variable; variables are file, metadata"),
        ("file.length > 1", "`length` is no field; fields are id, name"),
        ("file['length'] > 1", "`length` is no field"),
        ("file.size > '1'", "a number is compared with a text"),
        ("file.size", "the result is a number, not true or false"),
        ("item.text", "the result is a text, not true or false"),
        ("file.size + 1.5 > 2.0", "convert with int() or double()"),
        ("file.size && true", "`&&` needs true or false, not a number"),
        ("shell('ls') == ''", "`shell` is no function; functions are size, contains"),
        ("size() == 1", "wrong number of arguments"),
        ("file.name.exists(letter, letter == 'a')", "a macro needs a list or a map, not a text"),
        ("1 in file.size", "`in` needs a list"),
        ("item.text > 3", "no matching overload"),
        ("file{a: 1} == 1", "file"),
    ] {
        assert!(mistakes(source).contains(message), "{source}: {}", mistakes(source));
    }
    let all = mistakes("files.size > 1 && file.length > 1");
    assert!(all.contains("files") && all.contains("length"), "{all}");
}

#[test]
fn expression_that_could_run_too_long_is_refused() {
    let nested = "metadata.a.exists(a, metadata.b.exists(b, a == b))";
    assert_eq!(mistakes(nested), "");
    let deeper = "metadata.a.exists(a, metadata.b.exists(b, metadata.c.exists(c, a == b && b == c)))";
    assert!(mistakes(deeper).contains("could take more than"), "{}", mistakes(deeper));
    let doubling = format!("size(['x']{}) == 1", ".map(a, a + a)".repeat(40));
    assert!(mistakes(&doubling).contains("could take more than"), "{}", mistakes(&doubling));
}

#[test]
fn evaluation_that_would_run_too_long_is_refused() {
    let list: Vec<u32> = (0..10_000).collect();
    let variables = Variables { metadata: json!({ "a": list, "b": list }), ..Variables::example() };
    let result = holds("metadata.a.exists(a, metadata.b.exists(b, a == b + 20000))", &variables);
    assert_eq!(result, Err(EvaluationError::TooCostly));
}

#[test]
fn steps_of_all_evaluations_with_the_same_values_are_counted() {
    let variables = Variables { metadata: json!({ "a": vec![0; 500] }), ..Variables::example() };
    assert_eq!(holds("metadata.a.exists(a, metadata.a.exists(b, a == b))", &variables), Ok(true));
    let once = variables.steps.get();
    assert!(once > 500.0 * 500.0 && once < cost::MAX_STEPS, "{once}");
    assert_eq!(holds("metadata.a.exists(a, metadata.a.exists(b, a == b))", &variables), Ok(true));
    assert!((variables.steps.get() - 2.0 * once).abs() < 1.0, "{}", variables.steps.get());
}

#[test]
fn missing_value_fails_the_evaluation() {
    let result = holds("metadata.state == 'final'", &Variables::example());
    assert!(matches!(&result, Err(EvaluationError::Failed(reason)) if reason.contains("state")), "{result:?}");
    let expression = Expression::parse("metadata.state", Expected::Bool).unwrap();
    let variables = Variables { metadata: json!({ "state": "final" }), ..Variables::example() };
    assert_eq!(expression.holds(&variables), Err(EvaluationError::NotBool));
    assert_eq!(expression.evaluate(&variables), Ok(json!("final")));
}

#[test]
fn records_are_maps() {
    let record = Expression::parse("{'name': file.name, 'tags': file.tags}", Expected::Map).unwrap();
    assert_eq!(record.evaluate(&Variables::example()), Ok(json!({ "name": "report.pdf", "tags": ["report"] })));
    assert!(Expression::parse("file.name", Expected::Map).is_err());
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    let of = |count: usize| {
        [
            format!("{}true{}", "(".repeat(count), ")".repeat(count)),
            format!("{}true", "!".repeat(count)),
            format!("1{} > 0", "+1".repeat(count)),
            format!("metadata{} == 1", ".a".repeat(count)),
            format!("metadata{} == 1", "[0]".repeat(count)),
            format!("1{}", " < 1".repeat(count)),
            format!("1{}", " in [1]".repeat(count)),
            format!("true{}", " ? true : true".repeat(count)),
            format!("{}1", "-".repeat(count)),
            format!("{}{}", "[".repeat(count), "]".repeat(count)),
            "[".repeat(count),
        ]
    };
    for source in of(4_000).into_iter().chain(of(MAX_OPERATORS + 1)) {
        assert!(Expression::parse(&source, Expected::Any).is_err(), "{source}");
    }
    for source in of(MAX_OPERATORS - 5).into_iter().chain([format!("true{}", " || true".repeat(400))]) {
        if let Ok(expression) = Expression::parse(&source, Expected::Any) {
            let _ = expression.evaluate(&Variables::example());
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_handled(source: String) {
        let _ = Expression::parse(&source, Expected::Bool);
    }

    #[test]
    fn arbitrary_combination_of_tokens_is_handled(
        tokens in proptest::collection::vec(
            prop_oneof![
                Just("file"), Just(".size"), Just("metadata"), Just(".a"), Just("["), Just("]"), Just("("), Just(")"),
                Just("+"), Just("=="), Just("&&"), Just("!"), Just("1"), Just("'x'"), Just(".exists("), Just("a,"),
                Just("?"), Just(":"), Just("{"), Just("}"), Just("has("), Just("size("), Just("in"), Just(" "),
            ],
            0..20,
        ),
    ) {
        let _ = Expression::parse(&tokens.concat(), Expected::Bool);
    }
}

//! Search by words over HTTP: languages, operators, identifiers.

use serde_json::{Value, json};

use crate::support::{TestAccount, TestApp, part};

struct Setup {
    app: TestApp,
    ada: TestAccount,
    workspace: String,
}

impl Setup {
    async fn new(files: &[(&str, String)]) -> Self {
        let app = TestApp::start_with_worker(&[]).await;
        let ada = app.create_account("ada").await;
        let workspace = app.create_workspace(&ada, "Words").await;
        let parts = files.iter().map(|(name, text)| part(name, text.clone())).collect();
        let accepted = app.upload(&ada, &workspace, parts).await.expect(202);
        for file in accepted["items"].as_array().unwrap() {
            let finished = app.finished_file(&ada, &workspace, file["id"].as_str().unwrap()).await;
            assert_eq!(finished["state"], "ready", "{finished}");
        }
        Self { app, ada, workspace }
    }

    async fn search(&self, body: &Value) -> Value {
        self.app.post(&self.ada, &format!("/api/v1/workspaces/{}/search", self.workspace), body).await.expect(200)
    }

    /// The names of the files that are found in a mode.
    async fn names(&self, query: &str, mode: &str) -> Vec<String> {
        let response = self.search(&json!({ "query": query, "mode": mode })).await;
        let hits = response["hits"].as_array().unwrap().iter();
        hits.map(|hit| hit["file"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// A passage of other words, with these at places of their own.
fn passage(words: &[&str], length: usize) -> String {
    let other =
        "report gauge harbour valve crane manual inspection weather engine bolt shift deck cargo winch rope anchor";
    let mut text: Vec<&str> = other.split(' ').cycle().take(length).collect();
    for (place, word) in words.iter().enumerate() {
        text[(place + 1) * length / (words.len() + 1)] = word;
    }
    format!("{}.", text.join(" "))
}

#[actix_web::test]
async fn passage_with_all_words_is_before_short_ones_with_one() {
    let setup = Setup::new(&[
        ("both-long.txt", passage(&["quokka", "platypus"], 170)),
        ("both-repeated.txt", passage(&["quokka", "platypus", "quokka", "platypus"], 170)),
        ("one-short.txt", "Platypus.".to_owned()),
        ("one-short2.txt", "Figure 3: quokka".to_owned()),
        ("one-mid.txt", passage(&["quokka"], 30)),
        ("none.txt", passage(&[], 170)),
    ])
    .await;
    let by_words = setup.names("quokka platypus", "text").await;
    assert_eq!((by_words[0].as_str(), by_words.len()), ("both-repeated.txt", 5), "{by_words:?}");
    setup.app.stop().await;
}

#[actix_web::test]
async fn operators_and_stop_words_work_as_documented() {
    let setup = Setup::new(&[
        ("garage.txt", "Rear extension with a garage approved.".to_owned()),
        ("kitchen.txt", "Rear extension with a kitchen approved.".to_owned()),
        (
            "stop.txt",
            "To be or not to be, that is the question.\n\nThe Who played at Leeds. Vitamin A and Plan B.".to_owned(),
        ),
    ])
    .await;
    for mode in ["text", "hybrid", "vector"] {
        let names = setup.names("extension -garage", mode).await;
        assert!(names[0] == "kitchen.txt" && !names.contains(&"garage.txt".to_owned()), "{mode} {names:?}");
        assert_eq!(setup.names("\"garage approved\"", mode).await, ["garage.txt"], "{mode}");
        assert_eq!(setup.names("!? ... --", mode).await, [""; 0], "{mode}");
    }
    for query in ["to be or not to be", "the who", "\"to be or not to be\"", "vita*"] {
        assert_eq!(setup.names(query, "text").await[0], "stop.txt", "{query}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn languages_identifiers_and_unicode_forms_are_found() {
    let setup = Setup::new(&[
        (
            "de.txt",
            "Die Donaudampfschifffahrtsgesellschaft verlegt ihre Hauptversammlung.\n\nDie Krankenversicherungsbeiträge \
             steigen. Die Häuser sind verkauft worden."
                .to_owned(),
        ),
        ("ja.txt", "水道料金のお知らせ。来月から水道料金が値上げされます。\n\n市立図書館は月曜日が休館日です。".to_owned()),
        ("zh.txt", "关于水费上涨的通知。从下个月开始，居民水费将上涨百分之十。\n\n市图书馆每周一闭馆。".to_owned()),
        (
            "parts.txt",
            "Replace seal AB-1234/5 every year.\n\nPart NOR.0707-60 fits. Serial 774618868-1873. Error E_CONN_42 means \
             v2.10.3 of foo_bar.baz is missing. RFC-2616, C++ and C#, node.js"
                .to_owned(),
        ),
        ("other-parts.txt", "Seal AB-1299/5 and seal AB-77/5 are replaced every year, seals of other kinds as well.".to_owned()),
        ("nfd.txt", "Die U\u{308}berpru\u{308}fung der Mo\u{308}belgro\u{308}ße in Ko\u{308}ln ist abgeschlossen.".to_owned()),
        ("shy.html", "<html><body><p>Ein Index&shy;fonds bildet einen Index nach.</p></body></html>".to_owned()),
        ("accents.txt", "Le café de l'hôtel à Orléans sert une crème brûlée.".to_owned()),
    ])
    .await;
    for (query, name) in [
        ("Krankenversicherung", "de.txt"),
        ("Haus", "de.txt"),
        ("水道料金", "ja.txt"),
        ("図書館", "ja.txt"),
        ("图书馆", "zh.txt"),
        ("1234/5", "parts.txt"),
        ("0707-60", "parts.txt"),
        ("1873", "parts.txt"),
        ("foo_bar", "parts.txt"),
        ("node", "parts.txt"),
        ("Überprüfung", "nfd.txt"),
        ("Koln", "nfd.txt"),
        ("Indexfonds", "shy.html"),
        ("cafe creme brulee", "accents.txt"),
    ] {
        assert_eq!(setup.names(query, "text").await.first().map(String::as_str), Some(name), "{query}");
    }
    for query in ["AB-1234/5", "Where is seal AB-1234/5 replaced every year?"] {
        assert_eq!(setup.names(query, "hybrid").await[0], "parts.txt", "{query}");
    }
    // The snippet marks the word as the file has it.
    let body = json!({ "query": "haus", "mode": "text", "language": "de" });
    let hit = setup.search(&body).await["hits"][0].clone();
    let (text, range) = (hit["snippet"]["text"].as_str().unwrap(), &hit["snippet"]["highlights"][0]);
    let at = |name: &str| usize::try_from(range[name].as_u64().unwrap()).unwrap();
    assert_eq!(&text[at("start")..at("end")], "Häuser");
    let path = format!("/api/v1/workspaces/{}/search", setup.workspace);
    for language in [json!("xx"), Value::Null, json!(1)] {
        let body = json!({ "query": "haus", "language": language });
        setup.app.post(&setup.ada, &path, &body).await.problem(422, "invalid_body");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn parts_of_names_sizes_and_numbers_are_found() {
    let setup = Setup::new(&[
        ("camel.txt", "The method getUserName returns what YouTube knows.".to_owned()),
        ("sizes.txt", "Fasten the cover with a bolt M8x40 at 220V and 10kg.".to_owned()),
        ("path.txt", "Settings are read from /etc/app.conf at the start.".to_owned()),
        ("number.txt", "Die Rechnung beträgt 1.234,56 Euro.".to_owned()),
        ("tube.txt", "The inner tube of the tyre is flat.".to_owned()),
        ("apart.txt", "The parcel weighs 10 kg.".to_owned()),
    ])
    .await;
    for (query, name) in [
        ("user", "camel.txt"),
        ("getUserName", "camel.txt"),
        ("M8", "sizes.txt"),
        ("220 V", "sizes.txt"),
        ("app.conf", "path.txt"),
        ("1234,56", "number.txt"),
        // A name in a query means the whole.
        ("YouTube", "camel.txt"),
    ] {
        assert_eq!(setup.names(query, "text").await, [name], "{query}");
    }
    for query in ["10kg", "10 kg"] {
        let mut names = setup.names(query, "text").await;
        names.sort();
        assert_eq!(names, ["apart.txt", "sizes.txt"], "{query}");
    }
    setup.app.stop().await;
}

#[actix_web::test]
async fn variants_of_letters_and_digits_are_found() {
    let setup = Setup::new(&[
        ("umlaut.txt", "The keys are with Mr. Müller at the gate.".to_owned()),
        ("spelled.txt", "The lamps are with Mrs. Mueller at the pier.".to_owned()),
        ("persian.txt", "\u{6a9}\u{62a}\u{627}\u{628} \u{6f1}\u{6f2}\u{6f3}\u{6f4}".to_owned()),
    ])
    .await;
    for query in ["Müller", "Mueller", "MUELLER"] {
        let mut names = setup.names(query, "text").await;
        names.sort();
        assert_eq!(names, ["spelled.txt", "umlaut.txt"], "{query}");
    }
    // Kaf as Arabic writes it, and Western digits.
    for query in ["\u{643}\u{62a}\u{627}\u{628}", "1234"] {
        assert_eq!(setup.names(query, "text").await, ["persian.txt"], "{query}");
    }
    setup.app.stop().await;
}

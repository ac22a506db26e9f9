use lineman_model::{Cause, Finding};

/// Gathers what is wrong with one requirement: what cannot be meant, or contradicts the settings.
/// It is seen without asking anybody.
///
/// ```
/// use lineman_sdk::Contradictions;
///
/// let page = |word: &str| (word == "bucket").then_some(("Buckets", "https://docs.example.com/buckets"));
/// let mut found = Contradictions::new("acme/requirement-wrong", 0, "state", &page);
/// // `network` and `subnet` may stand together; `size` belongs to a machine.
/// let belongs = [("size", true, &["machine"][..])];
/// found.subjects(&["bucket"], &["network", "subnet"], "Say one thing: a `machine` or a `bucket`.", &belongs);
/// found.wrong("bucket", "`B` cannot be the name of a bucket.", "Write it in lower case.");
/// let words: Vec<_> = found.found().into_iter().filter_map(|finding| finding.subject?.pointer).collect();
/// assert_eq!(words, ["/requires/0/size", "/requires/0/bucket"]);
/// ```
pub struct Contradictions<'a> {
    code: &'a str,
    index: usize,
    id: &'a str,
    page: &'a dyn Fn(&str) -> Option<(&'static str, &'static str)>,
    found: Vec<Finding>,
}

impl<'a> Contradictions<'a> {
    /// None yet, of the requirement at a place among all. Each has the code, and the page (title and
    /// address) that says how the value of its word is spelled, where there is one.
    pub fn new(
        code: &'a str,
        index: usize,
        id: &'a str,
        page: &'a dyn Fn(&str) -> Option<(&'static str, &'static str)>,
    ) -> Contradictions<'a> {
        Contradictions { code, index, id, page, found: Vec::new() }
    }

    /// The value of a word is wrong; of a list, `word/0` is the first.
    pub fn wrong(&mut self, word: &str, message: impl Into<String>, remedy: impl Into<String>) {
        // The same word is wrong in each requirement for itself, and each word of one.
        let finding = Finding::new(self.code, Cause::ConfigInvalid, message)
            .subject("requirement", format!("{}.{word}", self.id))
            .pointer(format!("/requires/{}/{word}", self.index))
            .remedy(remedy);
        self.found.push(match (self.page)(word) {
            Some((title, url)) => finding.doc(title, url),
            None => finding,
        });
    }

    /// A requirement is about one subject, or about several of those that go `together`; how to name
    /// one is said where there is none. Beside it stand only words that belong to it: each is given
    /// with whether it is said, and the subjects that have it.
    pub fn subjects(&mut self, subjects: &[&str], together: &[&str], how: &str, belongs: &[(&str, bool, &[&str])]) {
        let [first, others @ ..] = subjects else {
            return self.wrong("id", "A requirement does not say what it is about.", how);
        };
        let joins = |word: &str| together.contains(&word);
        if let Some(other) = others.iter().find(|other| !(joins(first) && joins(other))) {
            let message = format!("A requirement is about two things, `{first}` and `{other}`.");
            self.wrong(other, message, "Make two requirements of them.");
        }
        for (word, said, of) in belongs {
            if *said && !subjects.iter().any(|subject| of.contains(subject)) {
                let message = format!("A requirement says `{word}`, and has no `{}`.", of.join("` or `"));
                self.wrong(word, message, format!("Add what it belongs to, or remove `{word}`."));
            }
        }
    }

    /// All that was found.
    pub fn found(self) -> Vec<Finding> {
        self.found
    }
}

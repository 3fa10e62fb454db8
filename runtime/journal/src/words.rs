//! Words as they are indexed and looked for. SQLite's `unicode61` folds case and takes diacritics away; what it does not do is
//! done here, once for what is written and once for what is asked.
//!
//! - Scripts without spaces (Chinese, Japanese, Thai and its neighbours) become one word a character, and a word that is asked
//!   for becomes a phrase. So any length is found; trigrams find none below three characters, and most Chinese words have two.
//! - Arabic loses vowel signs and tatweel, its alefs, yas and tas become one each, and the article goes, with what is written
//!   together with it, as in light stemming (Larkey, Ballesteros and Connell, SIGIR 2002). In Russian few people write ё.

/// What a word may begin with that says nothing of it.
const ARTICLES: [&str; 6] = ["وال", "فال", "بال", "كال", "ال", "لل"];

/// Letters that are left at least when an article is taken away.
const LEAST_STEM: usize = 2;

/// The text with a space around all that is a word of its own.
pub fn spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len() + 8);
    let mut word = String::new();
    for c in text.chars() {
        match c {
            // Tatweel and vowel signs.
            '\u{640}' | '\u{64b}'..='\u{65f}' | '\u{670}' => {}
            'أ' | 'إ' | 'آ' | 'ٱ' => word.push('ا'),
            'ى' => word.push('ي'),
            'ة' => word.push('ه'),
            'ё' | 'Ё' => word.push('е'),
            _ if is_unspaced(c) => {
                flush(&mut word, &mut spaced);
                spaced.extend([c, ' ']);
            }
            // A mark belongs to the letter before it.
            _ if c.is_alphanumeric() || is_mark(c) => word.push(c),
            _ => flush(&mut word, &mut spaced),
        }
    }
    flush(&mut word, &mut spaced);
    spaced
}

/// What FTS5 is asked for: every word, or one that begins so; a number by itself, for bus 12 is not bus 1. `None` where there is
/// no word in it.
pub fn query(text: &str) -> Option<String> {
    let mut query = String::new();
    for word in text.split_whitespace() {
        let spaced = spaced(word);
        if !spaced.is_empty() {
            // Only letters and digits are left, so nothing in it is FTS5's syntax within quotes.
            let word = spaced.trim_end();
            query += &format!("\"{word}\" {}", if word.ends_with(char::is_numeric) { "" } else { "* " });
        }
    }
    (!query.is_empty()).then_some(query)
}

fn flush(word: &mut String, spaced: &mut String) {
    let stem = |article: &&str| word.strip_prefix(*article).filter(|stem| stem.chars().count() >= LEAST_STEM);
    let stem = ARTICLES.iter().find_map(stem).unwrap_or(word);
    if !stem.is_empty() {
        spaced.push_str(stem);
        spaced.push(' ');
    }
    word.clear();
}

/// Combining marks of the Latin, Greek and Cyrillic scripts, which `unicode61` takes away.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}')
}

/// Letters of scripts that write no spaces between words.
const fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}'        // Thai, Lao
        | '\u{1000}'..='\u{109f}'    // Burmese
        | '\u{1780}'..='\u{17ff}'    // Khmer
        | '\u{3041}'..='\u{30ff}'    // Kana
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_without_spaces_become_one_a_character() {
        assert_eq!(spaced("有人摔倒了。A man falls"), "有 人 摔 倒 了 A man falls ");
        assert_eq!(query("摔倒").as_deref(), Some("\"摔 倒\" * "));
    }

    #[test]
    fn arabic_loses_its_article_and_its_signs() {
        assert_eq!(spaced("شَخْص أمام الباب، والكلب"), "شخص امام باب كلب ");
        assert_eq!(spaced("الآن"), "ان ", "two letters are left");
        assert_eq!(spaced("الى"), "الي ", "one would be too few");
    }

    #[test]
    fn nothing_that_is_asked_is_syntax() {
        assert_eq!(query("fall* OR \"door NEAR(x)"), Some("\"fall\" * \"OR\" * \"door\" * \"NEAR x\" * ".into()));
        assert_eq!(query("get-up"), Some("\"get up\" * ".into()));
        assert_eq!(query("bus 1"), Some("\"bus\" * \"1\" ".into()), "bus 12 is another");
        assert_eq!((query(" *\"( "), query("")), (None, None));
    }
}

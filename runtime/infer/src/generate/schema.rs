//! Constrained decoding: a small part of JSON Schema as an automaton over bytes, which says of each token whether it may come
//! (Willard and Louf 2023). JSON is written without white space, properties in the order of the schema, all of them.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

/// States of an automaton, at most: what a schema with long strings in long arrays asks for.
const MOST_STATES: usize = 200_000;

/// Characters of a string and items of an array where the schema states no bound, and the largest that it may state.
const STRING: (usize, usize) = (200, 1000);
const ARRAY: (usize, usize) = (8, 64);

/// What an answer may look like.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Of each state the bytes that may come, and what follows.
    edges: Vec<Vec<(u8, u8, u32)>>,
    /// States in which an answer may end.
    ends: Vec<bool>,
    first: Vec<u32>,
    /// Texts and numbers of all `enum`.
    named: Vec<String>,
}

impl Schema {
    /// Reads a schema: `type` `object` (`properties`), `array` (`items`, `minItems`, `maxItems`), `string` (`maxLength`),
    /// `integer`, `number`, `boolean` and `null`, and `enum`. `title`, `description` and `$schema` are passed over.
    ///
    /// # Errors
    /// It is not JSON, or asks for what is not kept here; in words for whoever wrote it.
    pub fn read(json: &str) -> Result<Self, String> {
        let node: Node = serde_json::from_str(json).map_err(|error| error.to_string())?;
        let mut made = Builder::default();
        let first = made.state()?;
        let end = made.node(&node, first)?;
        let mut named = Vec::new();
        node.texts(&mut named);
        Ok(Self { named, ..made.finish(first, end) })
    }

    /// Whether a text, or a number as it is written, is one of those that the schema names with `enum`.
    pub fn names(&self, text: &str) -> bool {
        self.named.iter().any(|named| named == text)
    }

    /// Whether this is a whole answer.
    pub fn accepts(&self, json: &str) -> bool {
        let mut answer = self.begin();
        answer.take(json.as_bytes());
        answer.may_end()
    }

    /// Where an answer begins.
    pub(super) fn begin(&self) -> Answer<'_> {
        Answer { schema: self, states: self.first.clone() }
    }
}

/// An answer on its way.
#[derive(Clone, Debug)]
pub(super) struct Answer<'a> {
    schema: &'a Schema,
    states: Vec<u32>,
}

impl Answer<'_> {
    /// Whether these bytes may come next.
    pub fn allows(&self, bytes: &[u8]) -> bool {
        !bytes.is_empty() && !self.after(bytes).is_empty()
    }

    /// Takes them.
    pub fn take(&mut self, bytes: &[u8]) {
        self.states = self.after(bytes);
    }

    /// Whether it may end here.
    pub fn may_end(&self) -> bool {
        self.states.iter().any(|state| self.schema.ends[*state as usize])
    }

    /// Whether nothing can follow.
    pub fn must_end(&self) -> bool {
        self.states.iter().all(|state| self.schema.edges[*state as usize].is_empty())
    }

    fn after(&self, bytes: &[u8]) -> Vec<u32> {
        let mut states = self.states.clone();
        let mut next = Vec::new();
        for byte in bytes {
            next.clear();
            for state in &states {
                let edges = &self.schema.edges[*state as usize];
                next.extend(edges.iter().filter(|(from, to, _)| (from..=to).contains(&byte)).map(|(.., to)| *to));
            }
            next.sort_unstable();
            next.dedup();
            std::mem::swap(&mut states, &mut next);
            if states.is_empty() {
                break;
            }
        }
        states
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Node {
    r#type: Option<Type>,
    r#enum: Option<Vec<serde_json::Value>>,
    properties: Option<Properties>,
    required: Option<Vec<String>>,
    items: Option<Box<Node>>,
    min_items: Option<usize>,
    max_items: Option<usize>,
    max_length: Option<usize>,
    #[serde(default, rename = "additionalProperties")]
    _additional: Option<bool>,
    #[serde(default, rename = "title")]
    _title: Option<String>,
    #[serde(default, rename = "description")]
    _description: Option<String>,
    #[serde(default, rename = "$schema")]
    _schema: Option<String>,
}

impl Node {
    /// Texts and numbers of its `enum`, and of those within it.
    fn texts(&self, named: &mut Vec<String>) {
        self.r#enum.iter().flatten().for_each(|value| texts_of(value, named));
        let properties = self.properties.iter().flat_map(|properties| &properties.0).map(|(_, node)| node);
        properties.chain(self.items.as_deref()).for_each(|node| node.texts(named));
    }
}

/// Texts and numbers of a value, however deep.
fn texts_of(value: &serde_json::Value, named: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => named.push(text.clone()),
        serde_json::Value::Number(number) => named.push(number.to_string()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| texts_of(value, named)),
        serde_json::Value::Object(values) => values.values().for_each(|value| texts_of(value, named)),
        _ => {}
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Type {
    Object,
    Array,
    String,
    Integer,
    Number,
    Boolean,
    Null,
}

/// In the order of the text.
#[derive(Debug)]
struct Properties(Vec<(String, Node)>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Properties;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object of schemas")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Properties, A::Error> {
                let mut all: Vec<(String, Node)> = Vec::new();
                while let Some((name, node)) = map.next_entry::<String, Node>()? {
                    if all.iter().any(|(known, _)| *known == name) {
                        return Err(A::Error::custom(format!("the property `{name}` is there twice")));
                    }
                    all.push((name, node));
                }
                Ok(Properties(all))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// Thompson's construction: fragments lead from a state to another, some steps without a byte.
#[derive(Default)]
struct Builder {
    edges: Vec<Vec<(u8, u8, u32)>>,
    silent: Vec<Vec<u32>>,
}

impl Builder {
    fn state(&mut self) -> Result<u32, String> {
        if self.edges.len() == MOST_STATES {
            return Err("the schema is too large: lower maxLength or maxItems".into());
        }
        self.edges.push(Vec::new());
        self.silent.push(Vec::new());
        Ok(self.edges.len() as u32 - 1)
    }

    fn edge(&mut self, from: u32, low: u8, high: u8, to: u32) {
        self.edges[from as usize].push((low, high, to));
    }

    fn skip(&mut self, from: u32, to: u32) {
        self.silent[from as usize].push(to);
    }

    /// One of these ranges of bytes.
    fn one_of(&mut self, from: u32, ranges: &[(u8, u8)]) -> Result<u32, String> {
        let to = self.state()?;
        ranges.iter().for_each(|(low, high)| self.edge(from, *low, *high, to));
        Ok(to)
    }

    fn text(&mut self, mut from: u32, text: &str) -> Result<u32, String> {
        for byte in text.bytes() {
            from = self.one_of(from, &[(byte, byte)])?;
        }
        Ok(from)
    }

    fn node(&mut self, node: &Node, from: u32) -> Result<u32, String> {
        if let Some(values) = &node.r#enum {
            let texts: Vec<String> = values.iter().map(ToString::to_string).collect();
            return self.choice(from, &texts);
        }
        match node.r#type.ok_or("every schema has a `type` or an `enum`")? {
            Type::Object => self.object(node, from),
            Type::Array => self.array(node, from),
            Type::String => self.string(bound("maxLength", node.max_length, STRING)?, from),
            Type::Integer => self.integer(from),
            Type::Number => self.number(from),
            Type::Boolean => self.choice(from, &["true".into(), "false".into()]),
            Type::Null => self.text(from, "null"),
        }
    }

    fn choice(&mut self, from: u32, texts: &[String]) -> Result<u32, String> {
        let end = self.state()?;
        if texts.is_empty() {
            return Err("an `enum` has at least one value".into());
        }
        for text in texts {
            let to = self.text(from, text)?;
            self.skip(to, end);
        }
        Ok(end)
    }

    fn object(&mut self, node: &Node, from: u32) -> Result<u32, String> {
        let none = Properties(Vec::new());
        let Properties(properties) = node.properties.as_ref().unwrap_or(&none);
        let lacks = |name: &&String| !properties.iter().any(|(known, _)| known == *name);
        if let Some(name) = node.required.iter().flatten().find(lacks) {
            return Err(format!("`{name}` is required, and is no property"));
        }
        let mut at = self.text(from, "{")?;
        for (index, (name, node)) in properties.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            at = self.text(at, &format!("{comma}{}:", serde_json::Value::from(name.as_str())))?;
            at = self.node(node, at)?;
        }
        self.text(at, "}")
    }

    fn array(&mut self, node: &Node, from: u32) -> Result<u32, String> {
        let items = node.items.as_ref().ok_or("an array states its `items`")?;
        let (least, most) = (node.min_items.unwrap_or(0), bound("maxItems", node.max_items, ARRAY)?);
        if least > most {
            return Err(format!("minItems is {least}, and at most {most} come"));
        }
        let (mut at, end) = (self.text(from, "[")?, self.state()?);
        for index in 0..most {
            if index >= least {
                self.skip(at, end);
            }
            at = if index == 0 { at } else { self.text(at, ",")? };
            at = self.node(items, at)?;
        }
        self.skip(at, end);
        self.text(end, "]")
    }

    /// UTF-8 and the short escapes.
    fn string(&mut self, most: usize, from: u32) -> Result<u32, String> {
        let (mut at, end) = (self.text(from, "\"")?, self.state()?);
        for _ in 0..most {
            self.skip(at, end);
            let next = self.one_of(at, &[(0x20, 0x21), (0x23, 0x5b), (0x5d, 0x7f)])?;
            let escape = self.one_of(at, &[(b'\\', b'\\')])?;
            for byte in *b"\"\\/bfnrt" {
                self.edge(escape, byte, byte, next);
            }
            // Table 3-7 of the Unicode standard.
            let (two, three) = (self.state()?, self.state()?);
            self.edge(two, 0x80, 0xbf, next);
            self.edge(three, 0x80, 0xbf, two);
            self.edge(at, 0xc2, 0xdf, two);
            for (lead, low, high, then) in [
                ((0xe0, 0xe0), 0xa0, 0xbf, two),
                ((0xe1, 0xec), 0x80, 0xbf, two),
                ((0xed, 0xed), 0x80, 0x9f, two),
                ((0xee, 0xef), 0x80, 0xbf, two),
                ((0xf0, 0xf0), 0x90, 0xbf, three),
                ((0xf1, 0xf3), 0x80, 0xbf, three),
                ((0xf4, 0xf4), 0x80, 0x8f, three),
            ] {
                let second = self.one_of(at, &[lead])?;
                self.edge(second, low, high, then);
            }
            at = next;
        }
        self.skip(at, end);
        self.text(end, "\"")
    }

    /// Up to 15 digits, which every reader of JSON keeps.
    fn integer(&mut self, from: u32) -> Result<u32, String> {
        let (start, end) = (self.state()?, self.state()?);
        self.skip(from, start);
        self.edge(from, b'-', b'-', start);
        self.edge(start, b'0', b'0', end);
        let mut at = self.one_of(start, &[(b'1', b'9')])?;
        for _ in 1..15 {
            self.skip(at, end);
            at = self.one_of(at, &[(b'0', b'9')])?;
        }
        self.skip(at, end);
        Ok(end)
    }

    fn number(&mut self, from: u32) -> Result<u32, String> {
        let (whole, end) = (self.integer(from)?, self.state()?);
        self.skip(whole, end);
        let mut at = self.text(whole, ".")?;
        for _ in 0..6 {
            at = self.one_of(at, &[(b'0', b'9')])?;
            self.skip(at, end);
        }
        Ok(end)
    }

    /// Steps without a byte become part of those with one.
    fn finish(self, first: u32, end: u32) -> Schema {
        let reach = |state: u32| {
            let (mut reached, mut at) = (vec![state], 0);
            while at < reached.len() {
                for next in &self.silent[reached[at] as usize] {
                    if !reached.contains(next) {
                        reached.push(*next);
                    }
                }
                at += 1;
            }
            reached
        };
        let (mut edges, mut ends) = (Vec::with_capacity(self.edges.len()), Vec::with_capacity(self.edges.len()));
        for state in 0..self.edges.len() as u32 {
            let reached = reach(state);
            ends.push(reached.contains(&end));
            edges.push(reached.iter().flat_map(|state| &self.edges[*state as usize]).copied().collect());
        }
        Schema { edges, ends, first: vec![first], named: Vec::new() }
    }
}

fn bound(name: &str, stated: Option<usize>, (usual, most): (usize, usize)) -> Result<usize, String> {
    let value = stated.unwrap_or(usual);
    if value > most { Err(format!("{name} is {value}, and may be {most} at most")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takes(schema: &Schema, text: &str) -> bool {
        let answer = schema.begin();
        let mut whole = answer.clone();
        whole.take(text.as_bytes());
        let mut split = answer;
        text.as_bytes().chunks(3).for_each(|bytes| split.take(bytes));
        assert_eq!(split.states, whole.states, "tokens may end anywhere");
        !whole.states.is_empty() && whole.may_end()
    }

    #[test]
    fn answers_are_those_of_the_schema_and_no_others() {
        let schema = Schema::read(
            r#"{"type":"object","title":"x","required":["who"],"properties":{
                "who":{"enum":["cat","dog",null]},"count":{"type":"integer"},"size":{"type":"number"},
                "seen":{"type":"array","items":{"type":"string","maxLength":4},"minItems":1,"maxItems":2},
                "alone":{"type":"boolean"}}}"#,
        )
        .expect("it is a schema");
        let right = r#"{"who":"cat","count":-12,"size":0.25,"seen":["a\"","猫🙂é"],"alone":true}"#;
        assert!(takes(&schema, right) && serde_json::from_str::<serde_json::Value>(right).is_ok());
        assert!(schema.accepts(right) && !schema.accepts(&right[..right.len() - 1]));
        assert!(takes(&schema, r#"{"who":null,"count":0,"size":7,"seen":[""],"alone":false}"#));
        for (old, new) in [
            ("cat", "cow"),
            ("-12", "012"),
            ("-12", "1.5"),
            ("-12", "1234567890123456"),
            ("0.25", "0."),
            ("a\\\"", "abcde"),
            ("a\\\"", "\n"),
            ("a\\\"", "\\x"),
            ("[\"a\\\"\",\"猫🙂é\"]", "[]"),
            ("[\"a", "[\"\",\"a"),
            (",\"alone\":true", ""),
            ("{\"who", "{ \"who"),
            ("true}", "true}}"),
        ] {
            assert!(right.contains(old) && !takes(&schema, &right.replacen(old, new, 1)), "{old} {new}");
        }
        let mut answer = schema.begin();
        assert!(answer.allows(b"{\"who\":\"d") && !answer.allows(b"") && !answer.may_end() && !answer.must_end());
        answer.take(right.as_bytes());
        assert!(answer.may_end() && answer.must_end() && !answer.allows(b" "));
        let mut torn = schema.begin();
        torn.take(b"{\"who\":\"cat\",\"count\":1,\"size\":1,\"seen\":[\"\xed");
        assert!(torn.allows(b"\x9f") && !torn.allows(b"\xa0"), "no halves of surrogates");
    }

    #[test]
    fn what_is_not_kept_is_refused() {
        let error = |json: &str| Schema::read(json).expect_err(json);
        assert!(error("{").contains("EOF"));
        assert!(error("{}").contains("`type` or an `enum`"));
        assert!(error(r#"{"type":"string","pattern":"x"}"#).contains("pattern"));
        assert!(error(r#"{"type":"array"}"#).contains("items"));
        assert!(error(r#"{"enum":[]}"#).contains("at least one"));
        assert!(error(r#"{"type":"string","maxLength":5000}"#).contains("at most"));
        assert!(error(r#"{"type":"object","properties":{},"required":["a"]}"#).contains("`a` is required"));
        assert!(error(r#"{"type":"object","properties":{"a":{"type":"null"},"a":{"type":"null"}}}"#).contains("twice"));
        let deep = r#"{"type":"array","maxItems":64,"items":{"type":"string","maxLength":1000}}"#;
        assert!(error(deep).contains("too large"));
    }
}

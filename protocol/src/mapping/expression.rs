//! The part of the SDK's expressions that is supported: a small part of Python's.
//!
//! An expression is cut into tokens and read by recursive descent, one function for each level of
//! precedence.

use super::filter::{Comparison, Filter, Literal, Test};
use super::path::Path;

/// What a property may be.
const PROPERTIES: &str = "a property may be `__NULL__`, another property (`name`, `address.city`), or a constant (`'text'`, 1, 2.5, True)";

/// What a filter may be.
const FILTERS: &str = "a filter may compare properties with constants (==, !=, <, <=, >, >=, `in [..]`, `not in`, `is None`, `is not None`), ask `name.startswith('..')`, `name.endswith('..')` or `'..' in name`, and join such tests with `and`, `or`, `not` and parentheses";

/// A value in an expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Operand {
    /// A property.
    Property(Path),
    /// A constant.
    Constant(Literal),
    /// `None`
    None,
}

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Literal(Literal),
    Symbol(&'static str),
}

/// Symbols, longer ones first.
const SYMBOLS: [&str; 14] =
    ["==", "!=", "<=", ">=", "<", ">", "(", ")", "[", "]", ",", ".", "-", "+"];

/// Reads what a property is made of.
pub(super) fn property(text: &str) -> Result<Operand, String> {
    let whole = |tokens: &mut Tokens| {
        let operand = tokens.operand()?;
        tokens.end().map(|()| operand)
    };
    Tokens::of(text).and_then(|mut tokens| whole(&mut tokens)).map_err(|fault| {
        format!("the expression `{text}` is not supported ({fault}): {PROPERTIES}")
    })
}

/// Reads a filter.
pub(super) fn filter(text: &str) -> Result<Filter, String> {
    let whole = |tokens: &mut Tokens| {
        let filter = tokens.any()?;
        tokens.end().map(|()| filter)
    };
    Tokens::of(text)
        .and_then(|mut tokens| whole(&mut tokens))
        .map_err(|fault| format!("the filter `{text}` is not supported ({fault}): {FILTERS}"))
}

struct Tokens {
    tokens: Vec<Token>,
    at: usize,
}

impl Tokens {
    fn of(text: &str) -> Result<Self, String> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let (token, after) = if first == '"' || first == '\'' {
                quoted(rest, first)?
            } else if first.is_ascii_digit() {
                number(rest)?
            } else if first.is_alphabetic() || first == '_' {
                let end =
                    rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                let (name, after) = rest.split_at(end);
                let token = match name {
                    "True" => Token::Literal(Literal::Boolean(true)),
                    "False" => Token::Literal(Literal::Boolean(false)),
                    _ => Token::Name(name.to_owned()),
                };
                (token, after)
            } else {
                SYMBOLS
                    .into_iter()
                    .find_map(|symbol| Some((Token::Symbol(symbol), rest.strip_prefix(symbol)?)))
                    .ok_or_else(|| format!("`{first}` has no meaning here"))?
            };
            tokens.push(token);
            rest = after.trim_start();
        }
        Ok(Self { tokens, at: 0 })
    }

    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token if it is this symbol.
    fn symbol(&mut self, symbol: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Symbol(next)) if *next == symbol);
        self.at += usize::from(is_next);
        is_next
    }

    /// Takes the next token if it is this word.
    fn word(&mut self, word: &str) -> bool {
        let is_next = matches!(self.peek(), Some(Token::Name(next)) if next == word);
        self.at += usize::from(is_next);
        is_next
    }

    fn require(&mut self, symbol: &str) -> Result<(), String> {
        if self.symbol(symbol) { Ok(()) } else { Err(format!("`{symbol}` is missing")) }
    }

    fn end(&self) -> Result<(), String> {
        match self.peek() {
            None => Ok(()),
            Some(Token::Name(name)) => Err(format!("`{name}` has no meaning here")),
            Some(Token::Symbol(symbol)) => Err(format!("`{symbol}` has no meaning here")),
            Some(Token::Literal(_)) => Err("a constant stands where none belongs".into()),
        }
    }

    /// `a or b`
    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.word("or") {
            parts.push(self.all()?);
        }
        Ok(joined(parts, Filter::Any))
    }

    /// `a and b`
    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.not()?];
        while self.word("and") {
            parts.push(self.not()?);
        }
        Ok(joined(parts, Filter::All))
    }

    fn not(&mut self) -> Result<Filter, String> {
        if self.word("not") { Ok(Filter::Not(Box::new(self.not()?))) } else { self.test() }
    }

    /// One test, or a filter in parentheses.
    fn test(&mut self) -> Result<Filter, String> {
        let start = self.at;
        if self.word("bool") && !self.symbol("(") {
            self.at = start;
        } else if self.at > start || self.symbol("(") {
            let inner = self.any()?;
            return self.require(")").map(|()| inner);
        }
        let left = self.operand()?;
        if let Operand::Property(path) = &left
            && let Some(test) = self.method(path)?
        {
            return Ok(test);
        }
        if self.word("is") {
            let negated = self.word("not");
            if !self.word("None") {
                return Err("only None may stand behind `is`".into());
            }
            return compared(left, Comparison::Equal, Operand::None)
                .map(|test| negate(test, negated));
        }
        let negated = self.word("not");
        if self.word("in") {
            return self.membership(left).map(|test| negate(test, negated));
        }
        if negated {
            return Err("`in` is missing behind `not`".into());
        }
        for (symbol, comparison, negated) in [
            ("==", Comparison::Equal, false),
            ("!=", Comparison::Equal, true),
            ("<=", Comparison::LessOrEqual, false),
            ("<", Comparison::Less, false),
            (">=", Comparison::GreaterOrEqual, false),
            (">", Comparison::Greater, false),
        ] {
            if self.symbol(symbol) {
                let right = self.operand()?;
                return compared(left, comparison, right).map(|test| negate(test, negated));
            }
        }
        match left {
            Operand::Property(path) => Ok(Filter::Is(path, Test::Truthy)),
            Operand::Constant(_) | Operand::None => Err("a constant alone is no test".into()),
        }
    }

    /// A question of text behind a property, if one stands there.
    fn method(&mut self, path: &Path) -> Result<Option<Filter>, String> {
        let (Some(name), true) = (path.last(), self.symbol("(")) else { return Ok(None) };
        let test = match name.as_str() {
            "startswith" => Test::StartsWith,
            "endswith" => Test::EndsWith,
            other => return Err(format!("there is no function `{other}`")),
        };
        let Some(Token::Literal(Literal::Text(text))) = self.peek().cloned() else {
            return Err(format!("`{name}` asks for a text in quotes"));
        };
        self.at += 1;
        self.require(")")?;
        let property = path.get(..path.len() - 1).unwrap_or_default().to_vec();
        if property.is_empty() {
            return Err(format!("there is no function `{name}`"));
        }
        Ok(Some(Filter::Is(property, test(text))))
    }

    /// What stands behind `in`.
    fn membership(&mut self, left: Operand) -> Result<Filter, String> {
        let close = if self.symbol("[") {
            "]"
        } else if self.symbol("(") {
            ")"
        } else {
            return match (left, self.operand()?) {
                (Operand::Constant(Literal::Text(part)), Operand::Property(path)) => {
                    Ok(Filter::Is(path, Test::Contains(part)))
                }
                _ => Err("`in` asks for a list, or a text on its left and a property on its right"
                    .into()),
            };
        };
        let mut parts = Vec::new();
        while !self.symbol(close) {
            parts.push(compared(left.clone(), Comparison::Equal, self.operand()?)?);
            if !self.symbol(",") {
                self.require(close)?;
                break;
            }
        }
        Ok(joined(parts, Filter::Any))
    }

    /// A property, a constant or None.
    fn operand(&mut self) -> Result<Operand, String> {
        let is_negative = self.symbol("-");
        let token = self.peek().cloned();
        self.at += 1;
        match (token, is_negative) {
            (Some(Token::Literal(Literal::Integer(value))), true) => {
                Ok(Operand::Constant(Literal::Integer(-value)))
            }
            (Some(Token::Literal(Literal::Number(value))), true) => {
                Ok(Operand::Constant(Literal::Number(-value)))
            }
            (Some(Token::Literal(literal)), false) => Ok(Operand::Constant(literal)),
            (Some(Token::Name(name)), false) if name == "None" => Ok(Operand::None),
            (Some(Token::Name(name)), false) => self.path(name).map(Operand::Property),
            (Some(Token::Symbol(symbol)), false) => Err(format!("`{symbol}` has no meaning here")),
            (None, false) => Err("something is missing at its end".into()),
            (_, true) => Err("`-` must stand before a number".into()),
        }
    }

    /// `name`, `name.inner`, `name['inner']`, `record['name']`, `_['name']`
    fn path(&mut self, first: String) -> Result<Path, String> {
        let mut path = vec![first];
        loop {
            if self.symbol(".") {
                let Some(Token::Name(name)) = self.peek().cloned() else {
                    return Err("a name is missing behind `.`".into());
                };
                self.at += 1;
                path.push(name);
            } else if self.symbol("[") {
                let Some(Token::Literal(Literal::Text(name))) = self.peek().cloned() else {
                    return Err("a name in quotes is missing behind `[`".into());
                };
                self.at += 1;
                self.require("]")?;
                path.push(name);
            } else {
                break;
            }
        }
        if path.len() > 1 && path.first().is_some_and(|first| first == "record" || first == "_") {
            path.remove(0);
        }
        Ok(path)
    }
}

fn joined(mut parts: Vec<Filter>, join: fn(Vec<Filter>) -> Filter) -> Filter {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            join(parts)
        }
    }
}

fn negate(test: Filter, is_negated: bool) -> Filter {
    if is_negated { Filter::Not(Box::new(test)) } else { test }
}

fn compared(left: Operand, how: Comparison, right: Operand) -> Result<Filter, String> {
    match (left, how, right) {
        (Operand::Property(path), Comparison::Equal, Operand::None)
        | (Operand::None, Comparison::Equal, Operand::Property(path)) => {
            Ok(Filter::Is(path, Test::Null))
        }
        (Operand::Property(path), how, Operand::Constant(literal)) => {
            Ok(Filter::Is(path, Test::Compares(how, literal)))
        }
        (Operand::Constant(literal), how, Operand::Property(path)) => {
            Ok(Filter::Is(path, Test::Compares(how.mirrored(), literal)))
        }
        (Operand::Property(_), _, Operand::Property(_)) => {
            Err("two properties are compared".into())
        }
        _ => Err("no property is compared".into()),
    }
}

/// A text in quotes, and what stands behind it.
fn quoted(text: &str, quote: char) -> Result<(Token, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        if character == quote {
            let after = text.get(at + 1..).unwrap_or_default();
            return Ok((Token::Literal(Literal::Text(value)), after));
        }
        if character != '\\' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some((_, escaped @ ('\\' | '\'' | '"'))) => value.push(escaped),
            Some((_, 'n')) => value.push('\n'),
            Some((_, 't')) => value.push('\t'),
            _ => return Err("a backslash must stand before \\, ', \", n or t".into()),
        }
    }
    Err("a text in quotes does not end".into())
}

/// A number, and what stands behind it.
fn number(text: &str) -> Result<(Token, &str), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    let (digits, after) = text.split_at(end);
    let literal = match digits.parse() {
        Ok(integer) => Literal::Integer(integer),
        Err(_) => match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Literal::Number(number),
            _ => return Err(format!("`{digits}` is no number")),
        },
    };
    Ok((Token::Literal(literal), after))
}

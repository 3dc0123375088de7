//! Circles between the files of a crate: which file names another, and whether a way leads back.
//!
//! Included by path into a test of each crate. A file names another by any path in its code that begins
//! with `crate::`, `super::`, `self::` or one of its own child modules; a `mod child;` alone is not
//! enough. A path leads to the file of the deepest module in it, so an item that a `mod.rs` re-exports
//! leads to that `mod.rs`, and from there to the child. Whatever stands under `#[cfg(test)]` is left
//! out, and so are comments and strings.

#![expect(clippy::unwrap_used, reason = "a test that cannot read its files fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Which files each file names, by their paths below the folder.
pub(crate) type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The arrows between the files of a crate, whose sources are in the folder `src`.
pub(crate) fn arrows(src: &Path) -> Arrows {
    let mut modules = BTreeMap::new();
    collect(src, src, &mut modules);
    let texts: BTreeMap<Vec<String>, (String, Vec<Token>)> = modules
        .iter()
        .map(|(module, file)| {
            let text = std::fs::read_to_string(src.join(file)).unwrap();
            (module.clone(), (file.clone(), without_tests(&tokens(&text))))
        })
        .collect();
    // A file that belongs to a module under `#[cfg(test)]` is named by no other file: it is left out.
    let declared: BTreeSet<Vec<String>> =
        texts.iter().flat_map(|(module, (_, tokens))| declarations(module, tokens)).collect();
    let is_product = |module: &Vec<String>| {
        (1..=module.len()).all(|length| declared.contains(&module[..length]))
    };
    let mut arrows = Arrows::new();
    for (module, (file, tokens)) in texts.iter().filter(|(module, _)| is_product(module)) {
        let mut named = BTreeSet::new();
        for path in paths(module, tokens, &declared) {
            let target = (0..=path.len()).rev().find_map(|length| modules.get(&path[..length]));
            named.extend(target.filter(|target| *target != file).cloned());
        }
        arrows.insert(file.clone(), named);
    }
    arrows
}

/// The circles between the files of a crate, each as `a.rs -> b.rs -> a.rs`: the shortest one through
/// every file that is on any, named once.
pub(crate) fn circles(src: &Path) -> Vec<String> {
    let arrows = arrows(src);
    let mut found = BTreeSet::new();
    for start in arrows.keys() {
        if let Some(circle) = shortest(&arrows, start) {
            // The same circle begins anywhere; it is written from its first file on.
            let first = (0..circle.len()).min_by_key(|at| circle[*at]).unwrap();
            let turned = circle[first..].iter().chain(&circle[..=first]).copied();
            found.insert(turned.collect::<Vec<_>>().join(" -> "));
        }
    }
    found.into_iter().collect()
}

/// The files on the shortest way from a file back to itself.
fn shortest<'a>(arrows: &'a Arrows, start: &'a str) -> Option<Vec<&'a str>> {
    let mut ways = vec![vec![start]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            let last = way[way.len() - 1];
            for next in arrows.get(last).into_iter().flatten() {
                if next == start {
                    return Some(way);
                }
                if seen.insert(next.as_str()) {
                    longer.push([way.as_slice(), &[next.as_str()]].concat());
                }
            }
        }
        ways = longer;
    }
    None
}

/// Every module of a folder with its file. A `main.rs` beside a `lib.rs` is a crate of its own.
fn collect(src: &Path, folder: &Path, modules: &mut BTreeMap<Vec<String>, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(src, &path, modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let file = path.strip_prefix(src).unwrap().to_str().unwrap().to_owned();
            let mut module: Vec<String> =
                file.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
            match module.last().map(String::as_str) {
                Some("mod") => drop(module.pop()),
                Some("lib") if module.len() == 1 => module.clear(),
                Some("main") if module.len() == 1 && src.join("lib.rs").exists() => continue,
                Some("main") if module.len() == 1 => module.clear(),
                _ => {}
            }
            modules.insert(module, file);
        }
    }
}

/// A word, a `::`, or any other single character.
type Token = String;

/// The tokens of a source, without comments, strings and characters.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |index: usize| chars.get(index).copied().unwrap_or('\0');
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut index = 0;
    while index < chars.len() {
        let c = at(index);
        if c == '/' && at(index + 1) == '/' {
            while index < chars.len() && at(index) != '\n' {
                index += 1;
            }
        } else if c == '/' && at(index + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(index), at(index + 1)) {
                    ('/', '*') => (depth, index) = (depth + 1, index + 2),
                    ('*', '/') => (depth, index) = (depth - 1, index + 2),
                    _ => index += 1,
                }
                if depth == 0 || index >= chars.len() {
                    break;
                }
            }
        } else if c == '"' {
            index = after_string(&chars, index, 0, true);
        } else if c == '\'' {
            // A character, or the beginning of a lifetime.
            if at(index + 1) == '\\' {
                index += 3;
                while index < chars.len() && at(index) != '\'' {
                    index += 1;
                }
                index += 1;
            } else if at(index + 2) == '\'' {
                index += 3;
            } else {
                index += 1;
            }
        } else if is_word(c) {
            let start = index;
            while is_word(at(index)) {
                index += 1;
            }
            let word: String = chars[start..index].iter().collect();
            let hashes = chars[index..].iter().take_while(|c| **c == '#').count();
            let is_raw = matches!(word.as_str(), "r" | "br" | "cr");
            if at(index) == '"' && (is_raw || matches!(word.as_str(), "b" | "c")) {
                index = after_string(&chars, index, 0, !is_raw);
            } else if is_raw && hashes > 0 && at(index + hashes) == '"' {
                index = after_string(&chars, index + hashes, hashes, false);
            } else {
                tokens.push(word);
            }
        } else if c == ':' && at(index + 1) == ':' {
            tokens.push("::".into());
            index += 2;
        } else {
            if !c.is_whitespace() {
                tokens.push(c.into());
            }
            index += 1;
        }
    }
    tokens
}

/// The index after a string that begins with the quote at `index` and ends with so many hashes.
fn after_string(chars: &[char], mut index: usize, hashes: usize, escapes: bool) -> usize {
    index += 1;
    while index < chars.len() {
        if escapes && chars[index] == '\\' {
            index += 2;
        } else if chars[index] == '"'
            && chars[index + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes
        {
            return index + 1 + hashes;
        } else {
            index += 1;
        }
    }
    index
}

/// Leaves out what stands under `#[cfg(test)]`: an item to its semicolon or to the end of its braces.
fn without_tests(tokens: &[Token]) -> Vec<Token> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if !tokens[index..].iter().map(String::as_str).take(7).eq(ATTRIBUTE) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        index += 7;
        // Round and square brackets too: a semicolon in `[u8; 4]` ends nothing.
        let mut depth = 0;
        while index < tokens.len() {
            let token = tokens[index].as_str();
            index += 1;
            match token {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth -= 1,
                _ => {}
            }
            if depth == 0 && (token == ";" || token == "}") {
                break;
            }
        }
    }
    kept
}

/// The child modules that a file declares, with its own path before their names.
fn declarations(module: &[String], tokens: &[Token]) -> Vec<Vec<String>> {
    let declared = tokens.windows(3).filter(|words| words[0] == "mod" && words[2] == ";");
    declared.map(|words| [module, &words[1..2]].concat()).collect()
}

/// Every path in a file, from the root of the crate on, with the names of its items.
fn paths(
    module: &[String],
    tokens: &[Token],
    declared: &BTreeSet<Vec<String>>,
) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    // Modules within the file that are open, each with the depth of its braces.
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for (index, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" => depth += 1,
            "}" => {
                depth -= 1;
                if inline.last().is_some_and(|(_, outside)| *outside == depth) {
                    inline.pop();
                }
            }
            "mod" if tokens.get(index + 2).is_some_and(|next| next == "{") => {
                inline.push((tokens[index + 1].clone(), depth));
            }
            _ => {}
        }
        let begins = tokens.get(index + 1).is_some_and(|next| next == "::")
            && (index == 0 || tokens[index - 1] != "::");
        if !begins {
            continue;
        }
        let mut here: Vec<String> = module.to_vec();
        here.extend(inline.iter().map(|(name, _)| name.clone()));
        let base = match token.as_str() {
            "crate" => Some(Vec::new()),
            "self" => Some(here),
            "super" => {
                here.pop();
                Some(here)
            }
            name => {
                here.push(name.to_owned());
                declared.contains(&here).then_some(here)
            }
        };
        if let Some(base) = base {
            tree(tokens, index + 2, base, &mut found);
        }
    }
    found
}

/// Follows a path, or each branch of a tree of paths, from `index` on; returns the index after it.
fn tree(
    tokens: &[Token],
    mut index: usize,
    mut base: Vec<String>,
    found: &mut Vec<Vec<String>>,
) -> usize {
    loop {
        match tokens.get(index).map_or("", String::as_str) {
            "{" => {
                index += 1;
                while index < tokens.len() && tokens[index] != "}" {
                    if tokens[index] == "," {
                        index += 1;
                    } else {
                        index = tree(tokens, index, base.clone(), found);
                    }
                }
                return index + 1;
            }
            "super" => drop(base.pop()),
            "self" => {}
            name => base.push(name.to_owned()),
        }
        index += 1;
        if tokens.get(index).is_none_or(|next| next != "::") {
            found.push(base);
            // Within braces a renaming may follow.
            while tokens.get(index).is_some_and(|next| next == "as")
                && tokens.get(index + 1).is_some()
            {
                index += 2;
            }
            return index;
        }
        index += 1;
    }
}

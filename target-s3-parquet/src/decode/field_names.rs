//! Which field a key of an object belongs to.

use hashbrown::HashMap;
use lake::schema::Column;

use super::context::Context;
use super::scan::{Cursor, Members, Syntax, Text};
use super::text;

/// The names of the fields of a struct, or of the columns of a record.
#[derive(Debug)]
pub(super) struct FieldNames {
    names: Vec<Box<[u8]>>,
    by_name: HashMap<Box<[u8]>, usize>,
    /// The names as they stand in JSON text, with quotes and colon; nothing for a name that has
    /// escapes there.
    quoted: Vec<Option<Box<[u8]>>>,
}

/// The next member of an object.
pub(super) enum Member {
    /// It is the field at this position.
    Field(usize),
    /// No field has its name. Its value has been passed over.
    Unknown,
    /// There is none.
    End,
}

impl FieldNames {
    pub(super) fn new(columns: &[Column]) -> Self {
        let names = || columns.iter().map(|column| Box::<[u8]>::from(column.source.as_bytes()));
        Self {
            names: names().collect(),
            by_name: names().zip(0..).collect(),
            quoted: columns.iter().map(|column| quoted(&column.source)).collect(),
        }
    }

    /// The name of a field, for paths.
    #[cold]
    pub(super) fn name(&self, field: usize) -> String {
        self.names.get(field).map_or_else(
            || format!("<field {field}>"),
            |name| String::from_utf8_lossy(name).into_owned(),
        )
    }

    /// Reads up to the value of the next member. Records of a stream mostly have their keys in the
    /// order of the schema: `expected` is the field that would come next then.
    #[inline]
    pub(super) fn next(
        &self,
        members: &mut Members,
        cursor: &mut Cursor<'_>,
        expected: usize,
        context: &mut Context,
    ) -> Result<Member, Syntax> {
        if let Some(Some(quoted)) = self.quoted.get(expected)
            && members.next_is(cursor, quoted)
        {
            return Ok(Member::Field(expected));
        }
        let Some(key) = members.next(cursor)? else { return Ok(Member::End) };
        if let Some(field) = self.find(key, expected, cursor, context)? {
            return Ok(Member::Field(field));
        }
        cursor.skip()?;
        Ok(Member::Unknown)
    }

    #[inline]
    fn find(
        &self,
        key: Text<'_>,
        expected: usize,
        cursor: &Cursor<'_>,
        context: &mut Context,
    ) -> Result<Option<usize>, Syntax> {
        if !key.escaped && self.names.get(expected).is_some_and(|name| **name == *key.raw) {
            return Ok(Some(expected));
        }
        self.look_up(key, cursor, context)
    }

    fn look_up(
        &self,
        key: Text<'_>,
        cursor: &Cursor<'_>,
        context: &mut Context,
    ) -> Result<Option<usize>, Syntax> {
        let mut unescaped = Vec::new();
        let name = if key.escaped {
            text::append(key, &mut unescaped)
                .map_err(|expected| Syntax { at: cursor.position().saturating_sub(1), expected })?;
            unescaped.as_slice()
        } else {
            key.raw
        };
        let found = self.by_name.get(name).copied();
        if found.is_none() {
            context.count_unknown_key(name);
        }
        Ok(found)
    }
}

fn quoted(name: &str) -> Option<Box<[u8]>> {
    let has_escapes = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\');
    (!name.bytes().any(has_escapes)).then(|| format!("\"{name}\":").into_bytes().into())
}

//! What data goes where, as a program tells it.

/// What a run reads and what it writes.
#[derive(Debug, Clone, Default)]
pub struct Data {
    /// What was read.
    pub inputs: Vec<Dataset>,
    /// What was written.
    pub outputs: Vec<Dataset>,
}

/// The name of a dataset, as <https://openlineage.io/docs/spec/naming> has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// Where it is: `s3://bucket`, `file`.
    pub namespace: String,
    /// Which one it is there.
    pub name: String,
}

/// Data that has a name and columns.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// Its name.
    pub name: Name,
    /// Other names of it: as tables of a catalog.
    pub tables: Vec<Name>,
    /// What has it: a name and an address.
    pub source: (String, String),
    /// Its columns.
    pub fields: Vec<Field>,
    /// Of an output: where its columns come from.
    pub origins: Vec<Origin>,
    /// Of an output: the columns that decide which of its rows there are.
    pub filters: Vec<Input>,
    /// How much of it was read or written.
    pub volume: Volume,
}

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// What it means.
    pub description: Option<String>,
    /// What is inside of it.
    pub fields: Vec<Self>,
}

/// Where a column of an output comes from.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The column.
    pub field: String,
    /// The column of an input.
    pub from: Input,
    /// What was done to its values.
    pub change: Change,
}

/// A column of an input.
#[derive(Debug, Clone)]
pub struct Input {
    /// The input.
    pub dataset: Name,
    /// The column, with what it is inside of before it.
    pub field: String,
}

/// What was done to the values of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Something was made of them: a month of a time.
    Derived,
    /// They were hashed, or what is personal was taken away.
    Masked,
}

/// How much it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Rows or records.
    pub rows: u64,
    /// Bytes, where they are known.
    pub bytes: Option<u64>,
    /// Files, where there are any.
    pub files: Option<u64>,
}

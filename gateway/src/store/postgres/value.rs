//! What goes into a statement and comes out of a row.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use tokio_postgres::Row;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::store::Kept;

/// A parameter.
#[derive(Debug, Clone)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    Int(i64),
    Bool(bool),
    Null,
}

/// The parameters of a statement, in their order.
macro_rules! values {
    ($($value:expr),* $(,)?) => { vec![$(Value::from($value)),*] };
}
pub(super) use values;

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        ty: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Text(text) => text.as_ref().to_sql(ty, out),
            Self::Int(number) => number.to_sql(ty, out),
            Self::Bool(truth) => truth.to_sql(ty, out),
            Self::Null => Ok(IsNull::Yes),
        }
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TEXT | Type::VARCHAR | Type::INT8 | Type::BOOL)
    }

    to_sql_checked!();
}

/// PostgreSQL has no text with a NUL. The same replacement everywhere keeps equal what was equal.
pub(in crate::store) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{fffd}")) } else { Cow::Borrowed(text) }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(without_nul(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(without_nul(text))
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(without_nul(&text).into_owned()))
    }
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<u32> for Value<'_> {
    fn from(number: u32) -> Self {
        Self::Int(number.into())
    }
}

impl From<u64> for Value<'_> {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value<'_> {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// Reading a row without panics.
pub(super) trait Columns {
    fn at<'a, T: FromSql<'a>>(&'a self, index: usize) -> Kept<T>;

    /// A counter, which is never negative.
    fn count(&self, index: usize) -> Kept<u64> {
        Ok(u64::try_from(self.at::<i64>(index)?).unwrap_or(0))
    }

    /// A small counter.
    fn small(&self, index: usize) -> Kept<u32> {
        Ok(u32::try_from(self.count(index)?).unwrap_or(u32::MAX))
    }

    fn json<T: DeserializeOwned>(&self, index: usize) -> Kept<T> {
        Ok(serde_json::from_str(self.at(index)?)?)
    }

    fn maybe_json<T: DeserializeOwned>(&self, index: usize) -> Kept<Option<T>> {
        let text: Option<&str> = self.at(index)?;
        Ok(text.map(serde_json::from_str).transpose()?)
    }
}

impl Columns for Row {
    fn at<'a, T: FromSql<'a>>(&'a self, index: usize) -> Kept<T> {
        Ok(self.try_get(index)?)
    }
}

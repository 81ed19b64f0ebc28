//! The two declarations that every part of the configuration is made of: a table of keys, and a set of words.

/// A table: `"key" => field: Type = default;`, optionally `, check function` with
/// `fn(&Type) -> Result<(), (what, fix)>`.
macro_rules! noun {
    (
        $(#[doc = $about:literal])*
        pub struct $name:ident {
            $( $(#[doc = $doc:literal])* $key:literal => $field:ident : $type:ty = $default:expr $(, check $check:expr)? ; )*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $( $(#[doc = $doc])* pub $field: $type, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $( $field: $default, )* }
            }
        }

        impl $crate::shape::Noun for $name {
            const KEYS: &'static [&'static str] = &[$($key),*];

            fn read_entries(table: &$crate::node::Node, at: &mut $crate::shape::Reading<'_>) -> Self {
                let mut this = Self::default();
                $(
                    if let Some(value) = table.get($key)
                        && let Some(read) = <$type as $crate::shape::Shape>::read(value, at)
                    {
                        $( at.check(value, $check(&read)); )?
                        this.$field = read;
                    }
                )*
                this
            }

            fn show_entries(&self, show: $crate::shape::Show) -> serde_json::Map<String, serde_json::Value> {
                let mut table = serde_json::Map::new();
                $( table.insert($key.to_owned(), $crate::shape::Shape::show(&self.$field, show)); )*
                table
            }

            fn properties() -> serde_json::Map<String, serde_json::Value> {
                let mut properties = serde_json::Map::new();
                $(
                    let schema = <$type as $crate::shape::Shape>::schema();
                    let about = [$($doc),*].concat();
                    properties.insert($key.to_owned(), $crate::schema::described(schema, about.trim()));
                )*
                properties
            }
        }

        impl $crate::shape::Shape for $name {
            fn read(node: &$crate::node::Node, at: &mut $crate::shape::Reading<'_>) -> Option<Self> {
                let table = at.table(node, <Self as $crate::shape::Noun>::KEYS)?;
                Some($crate::shape::Noun::read_entries(table, at))
            }

            fn show(&self, show: $crate::shape::Show) -> serde_json::Value {
                serde_json::Value::Object($crate::shape::Noun::show_entries(self, show))
            }

            fn schema() -> serde_json::Value {
                $crate::schema::closed(<Self as $crate::shape::Noun>::properties())
            }
        }
    };
}

/// A set of words: `"word" => Variant`, with the default named first. Words after `not built:` are refused by name,
/// and those after `formerly:` with the word to write instead.
macro_rules! word {
    (
        $(#[doc = $about:literal])*
        pub enum $name:ident = $default:ident {
            $( $(#[doc = $doc:literal])* $word:literal => $variant:ident, )*
        }
        $( not built: $($unbuilt:literal),+ )?
        $( formerly: $($old:literal => $new:literal),+ )?
    ) => {
        $(#[doc = $about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
        pub enum $name {
            $( $(#[doc = $doc])* #[serde(rename = $word)] $variant, )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl $name {
            /// The words, in the order of the variants.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word as it is written.
            pub fn word(self) -> &'static str {
                match self { $( Self::$variant => $word, )* }
            }
        }

        impl $crate::shape::Shape for $name {
            fn read(node: &$crate::node::Node, at: &mut $crate::shape::Reading<'_>) -> Option<Self> {
                match node.as_text() {
                    $( Some($word) => Some(Self::$variant), )*
                    $( Some(word) if [$($unbuilt),+].contains(&word) => {
                        at.fault(
                            node.mark,
                            format!("\"{word}\" is not built yet"),
                            format!("write one of: {}", Self::WORDS.join(", ")),
                        );
                        None
                    } )?
                    $( $( Some($old) => {
                        at.fault(node.mark, format!("\"{}\" is no value of this key any more", $old), format!("write \"{}\"", $new));
                        None
                    } )+ )?
                    Some(other) => {
                        let hint = at.hint(other, Self::WORDS);
                        at.fault(
                            node.mark,
                            format!("\"{other}\" is no value of this key"),
                            format!("write one of: {}{hint}", Self::WORDS.join(", ")),
                        );
                        None
                    }
                    None => at.wrong_kind(node, &format!("one of: {}", Self::WORDS.join(", "))),
                }
            }

            fn show(&self, _: $crate::shape::Show) -> serde_json::Value {
                self.word().into()
            }

            fn schema() -> serde_json::Value {
                serde_json::json!({"enum": Self::WORDS})
            }
        }
    };
}

pub(crate) use {noun, word};

/// A check that a number lies in a range.
pub(crate) fn within<T: PartialOrd + std::fmt::Display + Copy>(
    least: T,
    most: T,
) -> impl Fn(&T) -> Result<(), (String, String)> {
    move |value| {
        if (least..=most).contains(value) {
            Ok(())
        } else {
            Err((format!("{value} is out of range"), format!("write a number from {least} to {most}")))
        }
    }
}

/// The same for a number that may be absent.
pub(crate) fn within_if_given<T: PartialOrd + std::fmt::Display + Copy>(
    least: T,
    most: T,
) -> impl Fn(&Option<T>) -> Result<(), (String, String)> {
    let within = within(least, most);
    move |value| value.as_ref().map_or(Ok(()), &within)
}

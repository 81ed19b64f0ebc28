//! How providers say that a conversation is too long. There is no common code for it, only sentences.

/// Parts of such sentences, lower case.
const TOO_LONG: &[&str] = &[
    "prompt is too long",
    "input is too long",
    "exceed context limit",
    "exceeds the context window",
    "exceeds the maximum context length",
    "maximum context length",
    "maximum prompt length",
    "context length exceeded",
    "context_length_exceeded",
    "context window exceeds",
    "exceeds the available context size",
    "exceeds the limit of",
    "greater than the context length",
    "exceeded model token limit",
    "too large for model",
    "reduce the length of the messages",
    "model_context_window_exceeded",
    "request_too_large",
    "range of input length",
    "token limit exceeded",
];

/// Sentences that contain such a part and mean something else.
const NOT_THIS: &[&str] = &["rate limit", "too many requests", "throttling", "tokens per min"];

/// Whether the sentence says that the conversation does not fit the model's window.
pub fn says_too_long(sentence: &str) -> bool {
    let sentence = sentence.to_lowercase();
    if NOT_THIS.iter().any(|part| sentence.contains(part)) {
        return false;
    }
    // Gemini: "The input token count (…) exceeds the maximum number of tokens allowed (…)."
    let gemini = sentence
        .split_once("input token count")
        .is_some_and(|(_, rest)| rest.contains("exceeds the maximum"));
    gemini || TOO_LONG.iter().any(|part| sentence.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_of_many_providers() {
        let table = [
            ("prompt is too long: 213462 tokens > 200000 maximum", true),
            ("Your input exceeds the context window of this model. Please adjust your input.", true),
            ("The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", true),
            ("This model's maximum prompt length is 131072 but the request contains 537812 tokens.", true),
            ("Please reduce the length of the messages or completion.", true),
            ("the request exceeds the available context size, try increasing it", true),
            ("tokens to keep from the initial prompt is greater than the context length", true),
            ("This endpoint's maximum context length is 32768 tokens. However, you requested 40000.", true),
            ("Throttling error: Too many tokens, please wait before trying again.", false),
            ("Rate limit reached: the request exceeds the limit of 30000 tokens per min.", false),
            ("Invalid value for `temperature`.", false),
        ];
        for (sentence, expected) in table {
            assert_eq!(says_too_long(sentence), expected, "{sentence}");
        }
    }
}

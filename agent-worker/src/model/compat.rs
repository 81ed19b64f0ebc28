//! What the many servers of the format `openai-completions` do differently.

/// How a server wants to be told how much to think.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThinkingFormat {
    /// `reasoning_effort: "low"`
    Effort,
    /// `reasoning: {effort: "low"}`
    OpenRouter,
    /// `thinking: {type: "enabled"}` and `reasoning_effort`
    DeepSeek,
    /// `enable_thinking: true`
    Enable,
    /// Not at all.
    None,
}

/// The peculiarities of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compat {
    /// `max_tokens` or `max_completion_tokens`.
    pub max_tokens_field: &'static str,
    /// Whether reasoning models take `developer` for `system`.
    pub developer_role: bool,
    /// Whether `store: false` is known.
    pub store: bool,
    /// Whether `strict` may stand in a tool.
    pub strict_tools: bool,
    /// How thinking is asked for.
    pub thinking: ThinkingFormat,
    /// Whether an answer's reasoning must be sent back with it.
    pub echo_reasoning: bool,
    /// Whether Anthropic's cache marks are understood.
    pub anthropic_cache: bool,
}

impl Compat {
    /// Finds out by the provider's id, its address and the model.
    pub fn of(provider: &str, base_url: &str, model: &str) -> Self {
        let host = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
        let host = host.split('/').next().unwrap_or_default().to_lowercase();
        let is = |id: &str, hosts: &[&str]| provider == id || hosts.iter().any(|part| host.contains(part));
        let openai = host.ends_with("api.openai.com") || host.ends_with(".openai.azure.com");
        let moonshot = is("moonshot", &["moonshot."]);
        let gateway = is("cloudflare-ai-gateway", &["gateway.ai.cloudflare.com"]);
        let chutes = is("chutes", &["chutes.ai"]);
        let xai = is("xai", &["api.x.ai"]);
        let zai = is("zai", &["api.z.ai", "bigmodel.cn"]);
        let deepseek = is("deepseek", &["deepseek.com"]);
        let qwen = is("qwen", &["dashscope"]);
        let openrouter = is("openrouter", &["openrouter.ai"]);
        let plain = is("cerebras", &["cerebras.ai"])
            || is("cloudflare", &["cloudflare.com"])
            || [xai, chutes, deepseek, zai, moonshot, gateway].contains(&true);
        // A server that nobody knows (llama.cpp, vLLM, Ollama, LM Studio…) gets the oldest words.
        let known = openai || openrouter || is("groq", &["groq.com"]) || is("together", &["together."]);
        let thinking = match () {
            () if openrouter => ThinkingFormat::OpenRouter,
            () if deepseek => ThinkingFormat::DeepSeek,
            () if zai || qwen => ThinkingFormat::Enable,
            () if xai || moonshot || gateway => ThinkingFormat::None,
            () => ThinkingFormat::Effort,
        };
        Self {
            max_tokens_field: if (openai || (known && !plain)) && !moonshot && !gateway && !chutes {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
            developer_role: openai,
            store: openai,
            strict_tools: !(moonshot || gateway) && known,
            thinking,
            echo_reasoning: deepseek,
            anthropic_cache: openrouter && model.starts_with("anthropic/"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_known_servers() {
        let table = [
            ("openai", "https://api.openai.com/v1", "max_completion_tokens", ThinkingFormat::Effort),
            ("moonshot", "https://api.moonshot.ai/v1", "max_tokens", ThinkingFormat::None),
            ("mine", "https://gateway.ai.cloudflare.com/v1/a/b/openai", "max_tokens", ThinkingFormat::None),
            ("chutes", "https://llm.chutes.ai/v1", "max_tokens", ThinkingFormat::Effort),
            (
                "openrouter",
                "https://openrouter.ai/api/v1",
                "max_completion_tokens",
                ThinkingFormat::OpenRouter,
            ),
            ("deepseek", "https://api.deepseek.com", "max_tokens", ThinkingFormat::DeepSeek),
            ("zai", "https://api.z.ai/api/paas/v4", "max_tokens", ThinkingFormat::Enable),
            ("xai", "https://api.x.ai/v1", "max_tokens", ThinkingFormat::None),
            ("ollama", "http://127.0.0.1:11434/v1", "max_tokens", ThinkingFormat::Effort),
        ];
        for (provider, url, field, thinking) in table {
            let compat = Compat::of(provider, url, "m");
            assert_eq!((compat.max_tokens_field, compat.thinking), (field, thinking), "{provider}");
            assert_eq!(compat.developer_role, provider == "openai", "{provider}");
            assert_eq!(compat.echo_reasoning, provider == "deepseek", "{provider}");
        }
        assert!(
            Compat::of("openrouter", "https://openrouter.ai/api/v1", "anthropic/claude-opus-4-6")
                .anthropic_cache
        );
    }
}

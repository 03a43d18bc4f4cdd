"""Names that people know providers by; an id that has none stands as it is."""

_NAMES = {
    "openai": "OpenAI", "anthropic": "Anthropic", "gcp.gemini": "Google Gemini", "gcp.vertex_ai": "Google Vertex AI",
    "gcp.gen_ai": "Google", "gcp": "Google Cloud", "aws": "AWS", "aws.bedrock": "Amazon Bedrock",
    "aws.sagemaker": "Amazon SageMaker", "azure.ai.openai": "Azure OpenAI", "azure.ai.inference": "Azure AI",
    "together": "Together AI", "fireworks": "Fireworks AI", "groq": "Groq", "cerebras": "Cerebras",
    "deepseek": "DeepSeek", "mistral_ai": "Mistral AI", "cohere": "Cohere", "x_ai": "xAI",
    "perplexity": "Perplexity", "ibm.watsonx.ai": "IBM watsonx", "openrouter": "OpenRouter",
    "baseten": "Baseten", "runpod": "RunPod", "coreweave": "CoreWeave", "lambda": "Lambda",
    "azure": "Azure", "modal": "Modal", "replicate": "Replicate", "voyage": "Voyage AI", "nebius": "Nebius",
    "oracle": "Oracle Cloud", "crusoe": "Crusoe",
}  # fmt: skip


def provider_name(provider: str) -> str:
    """Return what people call a provider, by its id."""
    return _NAMES.get(provider, provider)

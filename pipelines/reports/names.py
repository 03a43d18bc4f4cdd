"""Names that people know providers by: those that capital letters alone do not make of the id."""

import re

_NAMES = {
    "openai": "OpenAI", "anthropic": "Anthropic", "gcp.gemini": "Google Gemini", "gcp.vertex_ai": "Google Vertex AI",
    "gcp.gen_ai": "Google", "gcp": "Google Cloud", "aws": "AWS", "aws.bedrock": "Amazon Bedrock",
    "aws.sagemaker": "Amazon SageMaker", "azure.ai.openai": "Azure OpenAI", "azure.ai.inference": "Azure AI",
    "together": "Together AI", "fireworks": "Fireworks AI", "groq": "Groq", "cerebras": "Cerebras",
    "deepseek": "DeepSeek", "mistral_ai": "Mistral AI", "cohere": "Cohere", "x_ai": "xAI",
    "perplexity": "Perplexity", "ibm.watsonx.ai": "IBM watsonx", "openrouter": "OpenRouter",
    "baseten": "Baseten", "runpod": "RunPod", "coreweave": "CoreWeave", "lambda": "Lambda",
    "azure": "Azure", "modal": "Modal", "replicate": "Replicate", "nebius": "Nebius",
    "oracle": "Oracle Cloud", "moonshot_ai": "Moonshot AI", "voyage_ai": "Voyage AI", "deepinfra": "DeepInfra",
    "sambanova": "SambaNova", "sglang": "SGLang", "vllm": "vLLM", "tensorwave": "TensorWave",
    "example_ai": "Example AI", "zai": "Z.ai", "z_ai": "Z.ai", "ibm": "IBM Cloud", "ovhcloud": "OVHcloud",
    "digitalocean": "DigitalOcean", "fal": "fal", "vast": "Vast.ai", "cloudflare": "Cloudflare",
}  # fmt: skip


def provider_name(provider: str) -> str:
    """Return what people call a provider, by its id; what is no id, such as `(unknown)`, stands as it is."""
    if provider in _NAMES:
        return _NAMES[provider]
    return provider.replace("_", " ").title() if re.fullmatch("[a-z][a-z0-9_]*", provider) else provider

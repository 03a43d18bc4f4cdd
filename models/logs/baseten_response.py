"""Responses of Baseten's Model APIs: OpenAI's shape. Source: Baseten's Model APIs documentation."""

from models.logs.openai_shape import openai_shaped
from models.logs.responses import response_importer

IMPORTER = response_importer(openai_shaped("baseten_response", "baseten", signature=(), rank=55))

"""Client of any OpenAI-compatible chat endpoint: vLLM, Ollama, llama.cpp and the hosted services speak this protocol.

>>> chat = Chat(Endpoint.from_environment())  # MOTIONMILL_CHAT_URL, MOTIONMILL_CHAT_MODEL, MOTIONMILL_CHAT_KEY
>>> answer = chat.ask(Verdict, "Does the picture show the prompt 'a person waves'?", images=[png])
"""

from __future__ import annotations

from motionmill.chat.client import Chat, Usage, find_json, image_url
from motionmill.chat.endpoint import (
    KEY_VARIABLE,
    MODEL_VARIABLE,
    URL_VARIABLE,
    ChatError,
    Endpoint,
)

__all__ = [
    "KEY_VARIABLE",
    "MODEL_VARIABLE",
    "URL_VARIABLE",
    "Chat",
    "ChatError",
    "Endpoint",
    "Usage",
    "find_json",
    "image_url",
]

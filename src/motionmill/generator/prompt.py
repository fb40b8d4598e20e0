"""What a user typed -> whether it is a prompt at all."""

from __future__ import annotations

import re

MAX_PROMPT_CHARACTERS = 10_000


def check_prompt(prompt: object) -> None:
    """Raises ValueError for a prompt that is no text, says nothing, or is a book."""
    if not isinstance(prompt, str):
        raise ValueError(
            f"a prompt of type {type(prompt).__name__}; expected text, such as 'a person waves'"
        )
    if not prompt.strip():
        raise ValueError('the prompt is empty; describe a motion, for example "a person waves"')
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise ValueError(
            f"the prompt has {len(prompt)} characters; expected {MAX_PROMPT_CHARACTERS} at most: say it shorter"
        )
    if re.search("[\ud800-\udfff]", prompt):
        raise ValueError(f"the prompt {prompt[:60]!r} is not valid Unicode; expected text")

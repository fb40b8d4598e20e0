"""A caption -> "word/TAG word/TAG": lemmas with parts of speech, as the text files of HumanML3D have them.

Loaders of HumanML3D look these up in their word vectors and embed the tag; they need each line to have them. The tags
are those of Universal Dependencies that HumanML3D uses. By rules and lists for captions of motion, no model: closed
classes are listed, verbs are known in all their forms, and a verb's form behind an article or an adjective is a noun.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from motionmill.data.grammar import conjugate

_CLOSED: Final[Mapping[str, str]] = {
    "DET": "a an the this that these those his her their its your my each every both all some any no another",
    "ADP": "in on at with of from into onto to toward towards through across over under above below behind beside "
    "between against along around off out by for like near before after without about upon past inside outside",
    "CCONJ": "and or but nor",
    "SCONJ": "as while if because when until though where",
    "PRON": "he she it they you i we him them himself herself itself themselves yourself someone something who which "
    "nothing everything everyone oneself",
    "AUX": "is are was were be been being am can could will would may might must should does do did has have had",
    "PART": "not",
    "NUM": "one two three four five six seven eight nine ten hundred",
    "ADV": "then back forward forwards backward backwards sideways ahead away again up down twice once very too quite "
    "together clockwise counterclockwise anticlockwise here there still just almost now upright apart aside halfway "
    "upward upwards downward downwards straight around fast well slightly diagonally finally repeatedly",
    "ADJ": "left right other same small big large wide high low slow quick short long full half quarter good happy sad "
    "angry tired old young proud elderly exhausted drunk scared confident feminine masculine childish heavy light "
    "strong weak open front side normal steady sharp deep first second third few several more bent",
}  # fmt: skip
_VERBS: Final = (
    "walk run jog sprint dash stride stroll march pace stagger stumble limp sneak creep tiptoe shuffle trudge step "
    "jump hop leap skip bounce climb crawl crouch squat kneel sit stand lie rise fall lean bend bow stoop duck "
    "dodge turn spin rotate pivot twist twirl swing sway rock dance waltz kick punch jab hit strike block slap "
    "slash chop throw toss catch grab pick lift raise lower put place push pull drag carry hold drop wave clap "
    "point reach stretch extend cross fold touch rub scratch wipe wash brush stir pour drink eat cook play drive "
    "ride row swim fly shake nod look watch gesture signal greet salute call talk beckon invite guide show answer "
    "respond perform do make take give get go come move begin start stop stay wait continue keep return circle "
    "balance land roll flip cartwheel dribble shoot pass serve lunge stomp tap slide search open close use try face "
    "warm exercise practice"
)  # fmt: skip
_IRREGULAR: Final[Mapping[str, str]] = {
    "ran": "run", "sat": "sit", "stood": "stand", "lay": "lie", "rose": "rise", "fell": "fall", "fallen": "fall",
    "bent": "bend", "swung": "swing", "swam": "swim", "threw": "throw", "thrown": "throw", "caught": "catch",
    "put": "put", "held": "hold", "drove": "drive", "rode": "ride", "flew": "fly", "shook": "shake", "made": "make",
    "took": "take", "taken": "take", "gave": "give", "got": "get", "went": "go", "gone": "go", "came": "come",
    "began": "begin", "kept": "keep", "knelt": "kneel", "crept": "creep", "spun": "spin", "struck": "strike",
    "hit": "hit", "ate": "eat", "drank": "drink", "shot": "shoot", "shown": "show", "leapt": "leap",
}  # fmt: skip
_IRREGULAR_NOUNS: Final[Mapping[str, str]] = {
    "feet": "foot", "people": "people", "men": "man", "women": "woman", "children": "child", "knives": "knife",
    "halves": "half",
}  # fmt: skip
_BEFORE_NOUNS: Final = ("DET", "ADJ", "NUM")


def tagged(caption: str) -> str:
    """ "A person walks to the left." -> "a/DET person/NOUN walk/VERB to/ADP the/DET left/NOUN"."""
    words = "".join(
        sign if sign.isalpha() else "" if sign in "-'’" else " " for sign in caption.lower()
    ).split()
    result = []
    before = ""
    for place, word in enumerate(words):
        following = words[place + 1] if place + 1 < len(words) else ""
        lemma, before = _tagged_word(word, before, following)
        result.append(f"{lemma}/{before}")
    return " ".join(result)


def _tagged_word(word: str, before: str, following: str) -> tuple[str, str]:
    """The lemma and the tag of a word, of which the tag of the word before and the word after are known."""
    known = _closed_class().get(word)
    verb = _verb_forms().get(word)
    if word in ("left", "right"):  # "the left hand", "to the left"
        return word, "ADJ" if before != "DET" or _noun_follows(following) else "NOUN"
    if word == "to" and following in _verb_forms() and following not in _closed_class():
        return word, "PART"
    if known == "AUX" and verb is not None and following not in _verb_forms():
        return verb, "VERB"
    if known is not None and not (known == "ADJ" and verb is not None):
        return word, known
    if verb is not None and before not in _BEFORE_NOUNS:
        return verb, "VERB"
    if known is not None:
        return word, known
    if word.endswith("ly") and len(word) > 4:
        return word, "ADV"
    return _IRREGULAR_NOUNS.get(word) or _singular(word), "NOUN"


def _noun_follows(word: str) -> bool:
    return bool(word) and word not in _closed_class() and not word.endswith("ly")


def _singular(noun: str) -> str:
    if noun.endswith("ies") and len(noun) > 4:
        return noun[:-3] + "y"
    if noun.endswith(("ches", "shes", "sses", "xes", "zes")):
        return noun[:-2]
    if noun.endswith("s") and not noun.endswith(("ss", "us", "is")) and len(noun) > 3:
        return noun[:-1]
    return noun


@functools.cache
def _closed_class() -> Mapping[str, str]:
    return {word: tag for tag, words in _CLOSED.items() for word in words.split()}


@functools.cache
def _verb_forms() -> Mapping[str, str]:
    """Every form of every verb -> its base."""
    forms: dict[str, str] = {}
    for verb in _VERBS.split():
        gerund = conjugate(verb, "gerund")
        forms[verb] = forms[conjugate(verb, "singular")] = forms[gerund] = verb
        forms[gerund.removesuffix("ing") + "ed"] = verb
        if verb.endswith("y") and verb[-2:-1] not in "aeiou":
            forms[verb[:-1] + "ied"] = verb
    return {**forms, **_IRREGULAR}

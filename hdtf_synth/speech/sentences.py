"""Sentences: phrases that fit together in every combination, so that hundreds of different ones are real sentences."""

from __future__ import annotations

from hdtf_synth.exact import Draws

MINI = {
    "en-US": ("My brother baked a big plum pie.", "Please open the window before noon."),
    "en-GB": ("We have never seen such a blue boat.", "Would you move the small piano?"),
    "de": ("Morgen kommt meine Mutter mit dem Boot.", "Bitte bring mir ein Buch mit."),
    "zh": ("妈妈明天买苹果。", "我们一起去北京吧。"),
    "ja": ("あまい みかんを たべましょう。", "うみまで ゆっくり あるきました。"),
    "es": ("Mi abuela vive cerca del mar.", "Bueno, mañana bebemos un buen vino."),
}

PARTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "en": (
        (
            "My neighbour",
            "The old baker",
            "A young pilot",
            "The mayor",
            "Our teacher",
            "Her brother",
            "The painter",
            "Nobody here",
            "A famous poet",
            "The small boy",
            "My best friend",
            "The quiet farmer",
            "Every visitor",
        ),
        ("bought", "found", "forgot", "remembered", "moved", "described", "wanted", "improved", "followed", "painted"),
        (
            "a blue umbrella",
            "the broken piano",
            "five ripe apples",
            "a map of the valley",
            "the heavy wooden box",
            "some very warm bread",
            "the oldest photo album",
            "a letter from above",
            "the brown leather shoes",
            "a simple paper boat",
        ),
        (
            "before breakfast",
            "by the river",
            "in the middle of May",
            "without a word",
            "for my mother",
            "on the way home",
            "behind the museum",
            "after the film",
        ),
    ),
    "de": (
        (
            "Meine Nachbarin",
            "Der alte Bäcker",
            "Ein junger Pilot",
            "Die Lehrerin",
            "Unser Freund",
            "Der kleine Junge",
            "Die Malerin",
            "Mein Onkel",
        ),
        ("findet", "bringt", "malt", "vergisst", "beschreibt", "kauft", "sucht"),
        ("morgen", "heute Abend", "am Sonntag", "ohne Mühe", "im Garten", "auf dem Markt"),
        (
            "einen blauen Schirm",
            "fünf reife Pflaumen",
            "das warme Brot",
            "ein schönes Bild",
            "die alte Uhr",
            "einen langen Brief",
            "das große Buch",
        ),
    ),
    "zh": (
        ("我的朋友", "老师", "小妹妹", "爸爸", "那个女孩", "我们的邻居", "他哥哥"),
        ("明天", "今天早上", "每天", "下午", "在公园里"),
        ("买", "看", "想要", "忘了", "带来"),
        ("一本新书", "五个苹果", "很多花", "一把雨伞", "热包子", "妈妈的照片", "那只白猫"),
    ),
    "ja": (
        ("ともだちは", "せんせいは", "あねは", "ちちは", "おんなのこは", "となりの ひとは"),
        ("きょう", "あした", "まいあさ", "こうえんで", "えきまえで"),
        (
            "あたらしい ほんを",
            "あかい かさを",
            "おいしい みかんを",
            "ふるい えを",
            "しろい ねこを",
            "うみの しゃしんを",
        ),
        ("みつけました。", "かいました。", "よみます。", "おもいだしました。", "みせて くれました。"),
    ),
    "fr": (
        ("Mon voisin", "La boulangère", "Un jeune pilote", "Notre professeur", "Ma petite sœur", "Le vieux peintre"),
        ("apporte", "trouve", "oublie", "décrit", "veut", "prépare"),
        (
            "un parapluie bleu",
            "cinq pommes mûres",
            "le pain chaud",
            "une belle photo",
            "la vieille montre",
            "un bon repas",
        ),
        ("ce matin.", "au bord du fleuve.", "pour ma mère.", "avant midi.", "sans un mot."),
    ),
    "es": (
        ("Mi vecina", "El viejo panadero", "Un joven piloto", "La maestra", "Nuestro amigo", "Mi hermano"),
        ("busca", "olvida", "pinta", "compra", "describe"),
        ("un paraguas azul", "cinco manzanas", "el pan caliente", "una foto muy buena", "la mesa de madera"),
        ("por la mañana.", "cerca del río.", "para mi madre.", "sin hablar."),
    ),
}
"""For each language the parts of a sentence, in order; any choice from each part gives a sentence."""


def sentence(language: str, number: int) -> str:
    """Sentence ``number`` of a language; different numbers give different sentences until all are used.

    >>> sentence("en", 0) != sentence("en", 1)
    True
    """
    parts = PARTS[language]
    count = 1
    for options in parts:
        count *= len(options)
    # A multiplier without a common factor walks through all combinations in a scattered order.
    step = 7919
    place = (number * step + Draws(f"sentences/{language}").integer("start")) % count
    words = []
    for options in parts:
        place, index = divmod(place, len(options))
        words.append(options[index])
    gap = "" if language == "zh" else " "
    text = gap.join(words)
    return text if text.endswith((".", "。")) else text + ("。" if language == "zh" else ".")

"""Mass of an organ: which density of the config's list belongs to an organ's name."""

from __future__ import annotations

from collections.abc import Mapping

from tracker.errors import InputError


def name_words(name: str) -> list[str]:
    """Lower-case words of a name, each in the singular as far as English spelling tells: kidneys → kidney, ovaries → ovary."""
    words = []
    for word in name.lower().split("_"):
        if word.endswith("ies") and len(word) > 4:
            words.append(word[:-3] + "y")
        else:
            words.append(word[:-1] if word.endswith("s") and not word.endswith("ss") and len(word) > 3 else word)
    return words


def density_g_per_ml(organ: str, densities: Mapping[str, float]) -> float | None:
    """Density [g/mL] for an organ: its own name's, else that of a key made of words of its name, else ``default``, else None.

    The key with the most words wins; two different densities with equally many words are an `InputError` (``ambiguous_density``).

    >>> densities = {"lung": 0.3, "default": 1.05}
    >>> [density_g_per_ml(name, densities) for name in ("left_lung", "lungs", "liver")]
    [0.3, 0.3, 1.05]
    """
    if organ in densities:
        return float(densities[organ])
    words = name_words(organ)
    matches = {key: len(name_words(key)) for key in densities if key != "default" and _contains(words, name_words(key))}
    best = sorted(key for key, length in matches.items() if length == max(matches.values()))
    if len({densities[key] for key in best}) > 1:
        raise InputError(
            "ambiguous_density",
            f"two densities fit the organ {organ}",
            found=best,
            expected="one",
            where="organs: density_g_per_ml of the config",
            do=f"add a line for {organ}",
        )
    value = densities[best[0]] if best else densities.get("default")
    return None if value is None else float(value)


def _contains(words: list[str], part: list[str]) -> bool:
    return any(words[i : i + len(part)] == part for i in range(len(words) - len(part) + 1))

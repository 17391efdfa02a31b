"""What an organ is made of, by its name, and how bright that is in a CT and in a T2-weighted MR scan."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tissue:
    """``kind`` of tissue; ``ct_hu`` without contrast agent [HU]; ``mr`` brightness of a T2-weighted scan, fluid 1 and air 0."""

    kind: str
    ct_hu: float
    mr: float


AIR = Tissue("air", -1000.0, 0.0)
SOFT = Tissue("soft", 40.0, 0.40)
# Muscle and fat together: what is left of an animal.
BODY = Tissue("body", 0.0, 0.45)
# The first that matches a name counts. CT numbers: rounded from ICRU 44 tissues at 50-70 kVp, lung and bone as partly filled voxels show
# them; a mouse's bones are thin. They need only be right enough to begin: means are read from the scan itself before anything is bent.
_WORDS: tuple[tuple[str, Tissue], ...] = (
    (r"air(way)?s?|gas|trachea|bronch\w*", Tissue("air", -900.0, 0.02)),
    (r"lungs?|pulmo\w*", Tissue("lung", -500.0, 0.08)),
    (r"\w*(bones?|skelet\w*|skull|crani\w*|spines?|vertebra\w*|ribs?|femurs?|tibias?|humer\w*|pelvis|scapula\w*|teeth|tooth|mandib\w*|jaw)",
     Tissue("bone", 500.0, 0.12)),
    (r"\w*(fat|adipos\w*|bat|wat)", Tissue("fat", -100.0, 0.70)),
    (r"\w*bladder|urine|\w*ventricles?_csf|csf|bile", Tissue("fluid", 8.0, 1.0)),
    (r"(left_|right_)?ventricles?|heart\w*|myocard\w*|atri\w*", Tissue("soft", 45.0, 0.30)),
    (r"blood\w*|aorta\w*|vena\w*|veins?|arter\w*|vessels?", Tissue("soft", 45.0, 0.20)),
    (r"eyes?|lens", Tissue("fluid", 20.0, 0.90)),
    (r"\w*(brain\w*|cerebr\w*|cerebell\w*|medulla|striat\w*|cortex|olfactory|hippocamp\w*|thalam\w*|hypothalam\w*|midbrain|pons|cns)",
     Tissue("soft", 38.0, 0.60)),
    (r"liver\w*|hepat\w*", Tissue("soft", 60.0, 0.33)),
    (r"spleen\w*|splen\w*", Tissue("soft", 48.0, 0.50)),
    (r"\w*kidneys?|renal|\w*ren|medulla_renal\w*", Tissue("soft", 38.0, 0.60)),
    (r"stomach\w*|gut\w*|\w*intestin\w*|\w*bowel\w*|colon|c?a?ecum|caecum|duoden\w*|jejun\w*|ileum|rectum|oesophag\w*|esophag\w*",
     Tissue("soft", 18.0, 0.65)),
    (r"\w*(muscles?|masseter\w*)", Tissue("soft", 50.0, 0.28)),
    (r"pancreas|adrenals?\w*|testes|testis|testic\w*|ovar\w*|uter\w*|prostate|thymus|thyroid\w*|\w*glands?|lach?rym\w*|lacrim\w*|salivar\w*|"
     r"lymph\w*|nodes?|tumou?rs?|spinal|cord|placenta|penis|tongue|nerves?", SOFT),
    (r"rest|body|skin|remain\w*|carcass|soft|tissues?|whole|other|torso|trunk", BODY),
)  # fmt: skip
_PATTERNS = tuple((re.compile(pattern), tissue) for pattern, tissue in _WORDS)


def tissue_of(name: str) -> Tissue | None:
    """The tissue of an organ by a word in its name, in English or nearly so; None where no word is known.

    >>> tissue_of("lung_left").kind, tissue_of("Left-Kidney").ct_hu, tissue_of("rest_of_brain").mr, tissue_of("thing")
    ('lung', 38.0, 0.6, None)
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    for pattern, tissue in _PATTERNS:
        if any(pattern.fullmatch(word) for word in (*words, "_".join(words))):
            return tissue
    return None

"""Draws the names of the `news` dataset from the faker package: ``python -m suite.data.snapshot_names``.

The result, `names.json` beside this file, is kept in the repository, so that the dataset is the same whatever version
of faker is installed, and needs none. A new snapshot is a new dataset: every score on it changes.
"""

from __future__ import annotations

import importlib
import json
import re
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("names.json")

_PEOPLE = (
    "cs_CZ da_DK de_AT de_CH de_DE en_GB en_IE en_IN en_NG en_US es_ES es_MX et_EE fi_FI fr_FR ga_IE hr_HR hu_HU it_IT "
    "lt_LT lv_LV nl_NL no_NO pt_BR ro_RO sk_SK sl_SI sv_SE tr_TR tw_GH yo_NG"
)
_PLACES = "cs_CZ da_DK de_AT de_CH de_DE en_IN fi_FI fr_DZ hr_HR id_ID it_IT nl_BE nl_NL pl_PL pt_PT sk_SK sl_SI"
_FIRMS = "cs_CZ da_DK de_DE en_US fi_FI fr_CH fr_FR hr_HR hu_HU it_IT nl_NL pl_PL pt_BR ro_RO sv_SE"
_QUOTA = {"first": 125, "last": 220, "city": 240}  # names taken of each locale

_LICENCE = """\
The names are from the faker package, https://github.com/joke2k/faker, under the MIT licence:
Copyright (c) 2012 Daniele Faraglia
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated \
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the \
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit \
persons to whom the Software is furnished to do so, subject to the following conditions:
The above copyright notice and this permission notice shall be included in all copies or substantial portions of the \
Software.
THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE \
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR \
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR \
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE."""


def snapshot() -> dict[str, Any]:
    """The names by kind, each kind sorted and without repetition; every first name, surname and place is one word."""
    first, last, city = (
        sorted({name for locale in locales.split() for name in _some(_attribute(kind, locale, attribute), quota)})
        for kind, locales, attribute, quota in (
            ("person", _PEOPLE, "first_names", _QUOTA["first"]),
            ("person", _PEOPLE, "last_names", _QUOTA["last"]),
            ("address", _PLACES, "cities", _QUOTA["city"]),
        )
    )
    suffixes = {suffix for locale in _FIRMS.split() for suffix in _attribute("company", locale, "company_suffixes")}
    return {
        "licence": _LICENCE.splitlines(),
        "first": first,
        "last": last,
        "city": city,
        "country": sorted(filter(_is_word, _attribute("address", "en", "countries"))),
        "company_suffix": sorted(suffix for suffix in suffixes if re.fullmatch(r"[A-Z][A-Za-z.]{1,5}", suffix)),
    }


def _attribute(kind: str, locale: str, attribute: str) -> Iterable[str]:
    return getattr(importlib.import_module(f"faker.providers.{kind}.{locale}").Provider, attribute)


def _some(names: Iterable[str], quota: int) -> list[str]:
    """At most `quota` of the names that are one Latin word, from all over the alphabet."""
    words = sorted(filter(_is_word, set(names)))
    return words[:: max(1, -(-len(words) // quota))]


def _is_word(name: str) -> bool:
    return (
        3 <= len(name) <= 14
        and name.isalpha()
        and name[0].isupper()
        and name[-1].islower()
        and all(unicodedata.name(letter).startswith("LATIN") for letter in name)
    )


def main() -> None:
    """Writes the snapshot."""
    FILE.write_text(json.dumps(snapshot(), ensure_ascii=False, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Units of measure: their dimensions, and how many base units each is worth."""

from fractions import Fraction

Unit = tuple[dict[str, int], Fraction]
"""Powers by base dimension, and how many base units one unit is worth."""

_TABLE = {
    "length": """mm millimeter millimetre 1/1000;
        cm centimeter centimetre 1/100; dm decimeter decimetre 1/10; m meter metre 1;
        km kilometer kilometre 1000; in inch inche 127/5000; ft foot feet 381/1250;
        yd yard 1143/1250; mi mile 201168/125""",
    "length^2": "hectare 10000; acre 316160658/78125",
    "length^3": """ml milliliter millilitre cc 1/1000000; cl 1/100000; dl 1/10000;
        l L liter litre 1/1000; gallon gal 473176473/125000000000;
        quart qt 473176473/500000000000; pint 473176473/1000000000000;
        cup 473176473/2000000000000""",
    "time": """second sec s 1; minute min 60; hour hr h 3600; day 86400; week wk 604800;
        millisecond ms 1/1000""",
    "months": "month 1; year yr 12",
    "mass": """mg milligram 1/1000; g gram gm 1; kg kilogram kilo 1000;
        tonne Mg megagram 1000000;
        oz ounce 45359237/1600000; lb pound 45359237/100000; ton 45359237/50""",
    "angle": "degree 1",
    "radians": "radian rad 1",
    "celsius": "C celsius 1",
    "fahrenheit": "F fahrenheit 1",
    "kelvin": "K kelvin 1",
    "force": "N newton 1",
    "energy": "J joule 1; kj 1000; kwh 3600000; cal calorie 523/125; kcal kilocalorie 4184",
    "power": "W watt 1; kw 1000",
    "voltage": "V volt 1",
    "current": "A amp ampere 1",
    "resistance": "ohm 1",
    "pressure": "Pa pascal 1; atm atmosphere 101325; bar 100000; mmHg torr 20265/152",
    "amount": "mol mole 1",
    "frequency": "hz hertz 1; khz 1000; mhz 1000000",
    "bytes": "byte 1; kb kilobyte 1000; mb megabyte 1000000; gb gigabyte 1000000000",
    "sterling": "gbp 1",
    "dollars": "dollar usd 1; cent 1/100",
    "euros": "euro eur 1",
    "rupees": "rupee inr 1",
    "yen": "yen jpy 1",
    "yuan": "yuan cny rmb 1",
}
"""Units by dimension: names, then how many base units each is worth."""
_PREFIXES = {
    "n nano": Fraction(1, 10**9),
    "u micro": Fraction(1, 10**6),
    "m milli": Fraction(1, 1000),
    "k kilo": Fraction(1000),
    "M mega": Fraction(10**6),
    "G giga": Fraction(10**9),
}
"""Symbols and names of the prefixes of the SI."""
_PREFIXED = (
    "m meter; m metre; g gram; s second; L liter; L litre; N newton; J joule; W watt; V volt; "
    "A ampere; A amp; ohm ohm; Pa pascal; mol mole; Hz hertz"
)
"""Symbols and names of the units that take prefixes."""
_MOST_OF_A_MEASURE = 1000
"""Prefixes of lengths, times and masses go up to kilo: *ML* is mostly a careless *mL*."""


def _units() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for dimension, table in _TABLE.items():
        base, _, power = dimension.partition("^")
        for row in table.split(";"):
            *names, scale = row.split()
            for name in names:
                unit = {base: int(power or 1)}, Fraction(scale)
                units[name] = unit
                if len(name) > 1:
                    units[f"{name}s"] = unit
    return {**_with_prefixes(units), **units}


def _with_prefixes(units: dict[str, Unit]) -> dict[str, Unit]:
    """Return the units of the SI with prefixes, such as ``mA``, ``milliampere`` and ``uL``."""
    prefixed: dict[str, Unit] = {}
    for prefix, factor in _PREFIXES.items():
        for row in _PREFIXED.split(";"):
            (symbol, name), (sign, word) = row.split(), prefix.split()
            dimension, scale = units[name]
            if factor > _MOST_OF_A_MEASURE and dimension.keys() <= {"length", "time", "mass"}:
                continue
            for spelling in (sign + symbol, word + name, f"{word}{name}s"):
                prefixed[spelling] = dimension, scale * factor
    return prefixed


UNITS = _units()
"""Units by name, in the singular and in the plural; letters in the case that means the unit."""
CURRENCIES = frozenset(("sterling", "dollars", "euros", "rupees", "yen", "yuan"))
"""The dimensions that are money."""
TEMPERATURES = frozenset(("celsius", "fahrenheit", "kelvin"))
"""The dimensions that are counted in degrees, as angles are."""
SIGNS = {"$": "usd", "€": "eur", "£": "gbp", "¥": "yen", "₹": "inr"}
"""Names of currencies by sign."""
_PHYSICAL_NAMES = "force energy power voltage current frequency bytes resistance pressure amount"
PHYSICAL = frozenset(_PHYSICAL_NAMES.split())
"""The dimensions whose change in time is another answer, as a speed is no length."""
SHORT_RATES = {"mph": "mile/hour", "kph": "km/hour", "kmph": "km/hour", "kmh": "km/hour"}
"""Rates with a name of their own."""
_TAIL_WORDS = (
    "tall long wide high deep thick old older younger taller shorter longer wider higher lower "
    "deeper faster slower heavier lighter away apart left more less fewer each total altogether "
    "remaining extra late later early earlier ago all length height width depth"
)
TAIL = frozenset(_TAIL_WORDS.split())
"""Words behind a unit that say what was measured; others make it a part of a noun (gallon jugs)."""

"""Shares and differences in words, for figures and logs alike (no torch)."""

MINUS = "\N{MINUS SIGN}"
CANCEL = "relevance for and against cancels: shares are of their sum"
_ROUNDING = 0.005  # of a share that is written in whole per cent


def percent(share: float) -> str:
    """Whole per cent; '<1 %' and '>99 %' where rounding would claim nothing or all."""
    if 0.0 < abs(share) < _ROUNDING:
        return "<1 %" if share > 0.0 else f">{MINUS}1 %"
    if 0.995 <= share < 1.0:
        return ">99 %"
    return f"{100.0 * share:.0f} %".replace("-", MINUS)


def with_sign(value: float, digits: int = 2) -> str:
    """A difference with its sign; what rounds to zero has none."""
    told = f"{value:+z.{digits}f}"
    return told if float(told) else told.removeprefix("+")


def cancels(*shares: float) -> bool:
    """Whether shares of a sum lie beyond 0 to 100 %, as they do where its terms have opposite signs; NaN does not."""
    return any(share < -_ROUNDING or share > 1.0 + _ROUNDING for share in shares)

"""Rows of distance transforms."""

from __future__ import annotations

from parity.row import Row, anti_diagonal

__all__ = ["ROWS"]


def _distances() -> list[Row]:
    edt, bf, cdt = (f"distance_transform_{name}" for name in ("edt", "bf", "cdt"))
    uneven, wide = {"sampling": (0.7, 1.3, 2.5)}, {"sampling": (1.1, 0.7, 1.3, 2.5)}
    odd = {"metric": anti_diagonal(3)}
    return [
        Row(edt, "mask", {}, ("bool", "uint8", "float32"), note="voxels"),
        Row(edt, "mask", uneven, ("bool",), wide=wide, note="anisotropic"),
        Row(edt, "mask", {"sampling": 0.7}, ("bool",), note="one sampling"),
        Row(bf, "mask", {"sampling": 1.5}, ("bool", "int16"), note="euclidean"),
        Row(bf, "mask", {"metric": "taxicab"}, ("bool",), note="taxicab"),
        Row(bf, "mask", {"metric": "Chessboard"}, ("bool",), note="chessboard"),
        Row(cdt, "mask", {}, ("bool", "float32"), note="chessboard"),
        Row(cdt, "mask", {"metric": "manhattan"}, ("bool",), note="taxicab"),
        Row(cdt, "mask", odd, ("bool",), wide={"metric": anti_diagonal(4)}, note="structure"),
    ]


ROWS = tuple(_distances())

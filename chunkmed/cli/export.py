"""``chunkmed export INPUT OUT``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from chunkmed.cli.options import budget_options, channel_of, dicom_options, foreign_options, spacing_of
from chunkmed.errors import InputError
from chunkmed.units import format_bytes

__all__ = ["command"]


@click.command()
@click.argument("path", metavar="INPUT")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--label", metavar="NAME", help="A label image of the store, not the image itself.")
@click.option("--level", type=int, default=0, help="Resolution of the store: 0 is the full one.")
@click.option("--time", type=int, help="One time point, by its index.")
@click.option("--source", metavar="DICOM", help="For OUT.dcm: the series that the image was made of.")
@click.option(
    "--kind",
    type=click.Choice(["labelmap", "binary"]),
    default="labelmap",
    help="For OUT.dcm: the type of segmentation.",
)
@click.option("--name", "names", multiple=True, metavar="NUMBER=NAME", help="For OUT.dcm: name of a label.")
@dicom_options
@foreign_options
@click.option("--overwrite", is_flag=True, help="Replace a file that is there.")
@budget_options
def command(
    path: str,
    out: Path,
    label: str | None,
    level: int,
    time: int | None,
    source: str | None,
    kind: str,
    names: tuple[str, ...],
    series: str | None,
    spacing: str | None,
    channel: str | None,
    overwrite: bool,
    memory: str | None,
    workers: int | None,
    **choices: Any,
) -> None:
    """Write the image of INPUT as NIfTI (OUT.nii, OUT.nii.gz), or labels as DICOM SEG (OUT.dcm).

    INPUT is a store, or what else chunkmed opens: DICOM, NIfTI, TIFF. A segmentation takes patient and
    study of the series at --source, which must lie where the labels do and hold the image's pixels.
    """
    from chunkmed.cli.progress import Progress
    from chunkmed.exports import to_nifti
    from chunkmed.graph.budget import config
    from chunkmed.images import open as open_image
    from chunkmed.seg_export import to_dicom_seg

    with config(memory, workers), Progress():
        image = open_image(
            path,
            label=label,
            level=level,
            series=series,
            spacing_mm=spacing_of(spacing),
            channel=channel_of(channel),
            **choices,
        )
        if time is not None:
            image = _at(image, time)
        if out.suffix == ".dcm":
            if source is None:
                raise InputError(
                    "a segmentation needs --source", kind="no-source", fix="give the DICOM series"
                )
            to_dicom_seg(image, out, source=source, names=_names(names), kind=kind, overwrite=overwrite)
        else:
            irregular = bool(choices.get("allow_irregular") or choices.get("allow_missing"))
            to_nifti(image, out, overwrite=overwrite, allow_irregular=irregular)
    sizes = " x ".join(f"{size} {dim}" for dim, size in image.sizes.items())
    click.echo(f"wrote      {out}: {sizes}, {image.dtype}, {format_bytes(out.stat().st_size)}")


def _at(image: Any, time: int) -> Any:
    dim = str(image.dims[0])
    if not -image.sizes[dim] <= time < image.sizes[dim]:
        raise InputError(f"--time {time}", kind="bad-time", why=f"there are {image.sizes[dim]} along {dim}")
    return image.isel({dim: time})


def _names(given: tuple[str, ...]) -> dict[int, str] | None:
    out = {}
    for text in given:
        number, equals, name = text.partition("=")
        if not equals or not number.isdecimal():
            raise InputError(f"--name {text}", kind="bad-setting", fix="write --name 1=LV")
        out[int(number)] = name
    return out or None

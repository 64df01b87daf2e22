"""The verbs of `synth-spark model`: what a model learned, and what it makes of known rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from synth_spark.cli_parts import Drop, end, must_be_there

model_app = typer.Typer(no_args_is_help=True, help="Look into models that were learned.")

ModelFolder = Annotated[Path, typer.Argument(help="A run's folder, or a model's own.")]
KnownRows = Annotated[str, typer.Argument(help="Rows in the model's columns: CSV or Parquet.")]
Summary = Annotated[bool, typer.Option("--json", help="Errors and the summary as JSON.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]


@model_app.command("show")
def model_show(
    folder: Annotated[Path, typer.Argument(help="A run's folder, or a model's own.")],
) -> None:
    """What a model learned: the table of its transitions if it has one, else its facts."""
    from synth_spark.pipelines.model_folder import load_saved

    found = (p.parent for p in folder.glob("models/*/model.json"))
    inner = sorted(found, key=lambda p: (p.name == "baseline", p.name))  # the twin's model first
    for path in inner or [folder]:
        saved = load_saved(path)
        table = getattr(saved.model, "table", None)
        told = table() if table else json.dumps(saved.model.about(), indent=2)
        sys.stdout.write(f"{path} ({saved.generator})\n\n{told}\n")


@model_app.command("score")
def model_score(
    folder: ModelFolder,
    file: KnownRows,
    out: Annotated[
        Path | None, typer.Option(help="The rows with their nats: CSV, Parquet.")
    ] = None,
    drop: Drop = None,
    overwrite: Overwrite = False,
    as_json: Summary = False,
) -> None:
    """How likely each row is under a model: the column log_probability_nats; -inf: it cannot be."""
    must_be_there(str(folder))
    from synth_spark import known

    end(known.score(folder, file, out=out, drop=drop or (), overwrite=overwrite, as_json=as_json))


@model_app.command("complete")
def model_complete(
    folder: ModelFolder,
    file: KnownRows,
    out: Annotated[Path, typer.Option(help="The rows without gaps: CSV, Parquet.")],
    seed: Annotated[int, typer.Option(min=0)] = 1,
    drop: Drop = None,
    overwrite: Overwrite = False,
    as_json: Summary = False,
) -> None:
    """Fill the empty cells of rows, each given the row's others; known cells are kept."""
    must_be_there(str(folder))
    from synth_spark import known

    asked: dict[str, Any] = {"out": out, "seed": seed, "drop": drop or ()}
    end(known.complete(folder, file, **asked, overwrite=overwrite, as_json=as_json))


@model_app.command("interpolate")
def model_interpolate(
    folder: ModelFolder,
    file: KnownRows,
    steps: Annotated[int, typer.Option(min=2, max=1_000, help="Rows of a way, with its ends.")],
    out: Annotated[Path, typer.Option(help="The rows on the way: CSV, Parquet.")],
    seed: Annotated[int, typer.Option(min=0)] = 1,
    drop: Drop = None,
    overwrite: Overwrite = False,
    as_json: Summary = False,
) -> None:
    """Rows on the way from the first row to the second, the third to the fourth (vae)."""
    must_be_there(str(folder))
    from synth_spark import known

    asked: dict[str, Any] = {"steps": steps, "out": out, "seed": seed, "drop": drop or ()}
    end(known.interpolate(folder, file, **asked, overwrite=overwrite, as_json=as_json))

"""CSV and Parquet files that are read and written whole, without Spark."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from synth_spark.app import TwinTakenError
from synth_spark.refusals import NoSuchFileError, UsageError
from synth_spark.spark.csv_text import delimiter_of
from synth_spark.spark.source import SourceFormatError, guess_format, must_be_readable


def read_file(file: str) -> tuple[pa.Table, str]:
    """A CSV file, all of it as texts, or a Parquet file; and the delimiter.

    Raises:
        NoSourceError: It is not there (SYN-220).
        SourceFormatError: It cannot be read, or is neither (SYN-221).
    """
    must_be_readable(file)
    kind = guess_format(file)
    try:
        if kind == "parquet":
            return pq.read_table(file), ","
        if kind == "csv":
            delimiter = "\t" if file.endswith(".tsv") else delimiter_of(Path(file), ",")
            return _csv(file, delimiter), delimiter
    except pa.ArrowException as error:
        raise SourceFormatError(
            f"{file} cannot be read as {kind}: {str(error).splitlines()[0]}", path=file, format=kind
        ) from error
    raise SourceFormatError(f"{file} is {kind}.", hint="a CSV or a Parquet file", path=file)


def _csv(file: str, delimiter: str) -> pa.Table:
    parse = pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with pa_csv.open_csv(file, parse_options=parse) as stream:
        names = stream.schema.names
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
    )
    return pa_csv.read_csv(file, parse_options=parse, convert_options=options)


def check_out(out: Path | None, *, overwrite: bool) -> None:
    """Refuse early what could not be written later.

    Raises:
        UsageError: Its ending is of neither format (SYN-107).
        NoSuchFileError: Its folder is not there (SYN-812).
        TwinTakenError: It is there, and may not be replaced, or is a folder (SYN-135).
    """
    if out is None:
        return
    if out.suffix.lower() not in (".csv", ".tsv", ".parquet"):
        raise UsageError(f"--out {out} is no CSV or Parquet file.", hint="NAME.csv or NAME.parquet")
    if not out.parent.is_dir():
        raise NoSuchFileError(
            f"There is no folder {out.parent} for --out {out}.",
            hint="make the folder, or name another file",
            path=str(out),
        )
    if out.exists() and (not overwrite or out.is_dir()):
        raise TwinTakenError(
            f"{out} is there already.", hint="--overwrite, or another --out", out=str(out)
        )


def write_file(table: pa.Table, out: Path, delimiter: str = ",") -> None:
    """Write a table as CSV or Parquet by the file's ending, whole or not at all."""
    handle, fresh = tempfile.mkstemp(dir=out.parent or ".", prefix=f".{out.name}.")
    os.close(handle)
    try:
        if out.suffix.lower() == ".parquet":
            pq.write_table(table, fresh, compression="zstd")
        else:
            sign = "\t" if out.suffix.lower() == ".tsv" else delimiter
            options = pa_csv.WriteOptions(delimiter=sign, quoting_style="needed")
            pa_csv.write_csv(_plain(table), fresh, options)
        masked = os.umask(0)
        os.umask(masked)
        Path(fresh).chmod(0o666 & ~masked)  # as any new file of the user's
        Path(fresh).replace(out)
    except BaseException:
        Path(fresh).unlink(missing_ok=True)
        raise


def _plain(table: pa.Table) -> pa.Table:
    """Dictionaries spelled out, which the CSV writer does not take."""
    for i, field in enumerate(table.schema):
        if pa.types.is_dictionary(field.type):
            table = table.set_column(i, field.name, table.column(i).cast(field.type.value_type))
    return table

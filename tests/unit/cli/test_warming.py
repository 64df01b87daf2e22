from __future__ import annotations

from synth_spark.core.shelf import GENERATORS
from synth_spark.warming import tables, warm


def test_each_generator_has_a_table_of_each_shape_that_it_makes() -> None:
    shapes = {schema.shape for schema, _ in tables().values()}
    assert all(GENERATORS.get(name).shapes <= shapes for name in GENERATORS.names())


def test_the_tables_of_its_shapes_are_learned_and_drawn() -> None:
    done = [(name, table) for name, table, _ in warm(("independent", "simulation"))]
    assert done == [(n, t) for n in ("independent", "simulation") for t in tables()]

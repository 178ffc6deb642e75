"""Pipelines as TOML, or as Python functions, validated before anything runs."""

from chunkmed.recipe.model import Measurement, Recipe, Step, load, shipped
from chunkmed.recipe.pipeline import Pipeline
from chunkmed.recipe.planning import PlannedPass, plan_recipe
from chunkmed.recipe.schema import json_schema

__all__ = [
    "Measurement",
    "Pipeline",
    "PlannedPass",
    "Recipe",
    "Step",
    "json_schema",
    "load",
    "plan_recipe",
    "shipped",
]

"""The Dagster shell: what exists, from what, in which partition."""

import warnings

import dagster as dg

# Partitioned checks and backfill policies are in preview; the pinned version is what is tested.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)

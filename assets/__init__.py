"""The Dagster shell: what exists, from what, in which partition."""

import warnings

import dagster as dg

# Partitioned checks and backfill policies are in preview; the pinned version is what is tested.
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
warnings.filterwarnings("ignore", category=dg.BetaWarning)
# A job of assets with different policies takes the one with the fewest partitions a run, as meant.
warnings.filterwarnings("ignore", message="Asset job .* varying BackfillPolicies")

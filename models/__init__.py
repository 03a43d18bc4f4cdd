"""Pure rooms: frames in, frames out. No Dagster, no network, no clock, no environment."""

"""Local emulation: the same handlers behind a gateway, over moto, with nothing managed at all."""

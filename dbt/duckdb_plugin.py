"""What dbt-duckdb loads when it opens its database: profiles.yml names it as a plugin."""

from dbt.adapters.duckdb.plugins import BasePlugin

from lake_iceberg import told


class Plugin(BasePlugin):
    """Makes the Iceberg tables of the lake known to the macros."""

    def initialize(self, plugin_config):
        self.lake = plugin_config["lake"].rstrip("/")

    def configure_connection(self, conn):
        told(conn, self.lake)

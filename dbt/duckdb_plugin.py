"""What dbt-duckdb loads when it opens its database: profiles.yml names it as a plugin."""

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from lake_catalog import CatalogError, tables_in
from lake_iceberg import told


class Plugin(BasePlugin):
    """Makes the Iceberg tables of the lake known to the macros."""

    def initialize(self, plugin_config):
        self.lake = plugin_config["lake"].rstrip("/")
        self.catalog = plugin_config.get("catalog", "")

    def configure_connection(self, conn):
        try:
            kept = tables_in(self.catalog, conn) if self.catalog else {}
        except CatalogError as problem:
            raise DbtRuntimeError(f"wistia: {problem}") from None
        told(conn, self.lake, kept)

"""Asks Spark the questions of deploy/redshift: `spark-submit ask.py top_media.sql drop_off.sql`.

Tables are those of the Glue Data Catalog where Spark is set up for it: a Glue job with
`--enable-glue-datacatalog`, or EMR with the Glue metastore.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SETTINGS = {
    # Names in double quotes, and errors where other engines have them.
    "spark.sql.ansi.enabled": "true",
    "spark.sql.ansi.doubleQuotedIdentifiers": "true",
    # Days are days of UTC.
    "spark.sql.session.timeZone": "UTC",
    # Dates before 1582 and times before 1900 mean what they say; Spark 3 refuses them otherwise.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
}


def ask(spark: SparkSession, text: str) -> DataFrame:
    """The answer to a query in the text of a file."""
    return spark.sql(text.strip().rstrip(";"))


if __name__ == "__main__":
    from pyspark.sql import SparkSession

    builder = SparkSession.builder.appName("wistia").enableHiveSupport()
    for key, value in SETTINGS.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    for path in sys.argv[1:]:
        print(f"\n{Path(path).stem}")
        ask(spark, Path(path).read_text()).show(100, truncate=60)

"""What only the tests of this folder share."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """Return a Spark session with two threads, in UTC; skip where there is no Java or PySpark."""
    sql = pytest.importorskip("pyspark.sql", reason="needs PySpark: pip install '.[spark]'")
    java = Path(os.environ.get("JAVA_HOME", "")) / "bin" / "java"
    if not (java.is_file() or shutil.which("java")):
        pytest.skip("needs Java 17 or later")
    os.environ["PYSPARK_PYTHON"] = sys.executable
    settings = {
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": 2,
        "spark.sql.codegen.wholeStage": False,  # takes longer than what these few rows need
        "spark.ui.enabled": False,
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
        "spark.log.level": "ERROR",
    }
    builder = sql.SparkSession.builder.master("local[2]").appName("custseg")
    session = builder.config(map=settings).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """Return a connection to the PostgreSQL server that CUSTSEG_POSTGRES names."""
    address = os.environ.get("CUSTSEG_POSTGRES")
    if not address:
        pytest.skip("needs CUSTSEG_POSTGRES, such as postgresql://user@localhost/scratch")
    pytest.importorskip("psycopg", reason="needs pip install 'ibis-framework[postgres]'")
    backend = pytest.importorskip("ibis").connect(address)
    yield backend
    backend.disconnect()

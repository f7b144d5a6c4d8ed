"""Write the shop that ships with the package: ``python benchmarks/make_shop_data.py``."""

from pathlib import Path

import duckdb

from custseg.datasets import make_shop

TABLES = ("customers", "transactions", "touchpoints", "survey", "campaign", "truth")


def write_shop(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shop = make_shop(5_000, random_state=0)
    with duckdb.connect() as connection:
        for name in TABLES:
            connection.register("frame", getattr(shop, name))
            target = folder / f"{name}.parquet"
            connection.execute(
                f"COPY frame TO '{target}' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
            )
            print(f"{target.name:<24}{target.stat().st_size:>10,} bytes")


if __name__ == "__main__":
    write_shop(Path(__file__).resolve().parents[1] / "data" / "shop")

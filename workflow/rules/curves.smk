rule curves:
    """Gather all subjects into the biodistribution table, group curves and quality table."""
    input:
        rows=of_all("corrected.csv"),
        qc=[path for stage in STAGES for path in of_all(f"qc_{stage}.csv")],
    output:
        curves=RESULTS + "/curves/biodistribution.csv",
        groups=RESULTS + "/curves/groups.csv",
        schema=RESULTS + "/curves/biodistribution.json",
        package=RESULTS + "/curves/datapackage.json",
        qc=RESULTS + "/qc/checks.csv",
    log:
        RESULTS + "/logs/curves.log",
    params:
        study=encode(STUDY),
        code=code_digest(),
    script:
        "../scripts/curves.py"

rule report:
    """Write the page that a person reads, the pictures of quality control, and the provenance."""
    input:
        curves=RESULTS + "/curves/biodistribution.csv",
        qc=[RESULTS + "/qc/checks.csv", RESULTS + "/qc/pk.csv"],
        nca=RESULTS + "/pk/nca.csv",
        pictures=of_all("pictures"),
        manifests=of_all("manifest.json"),
        truth=of_all("truth.csv") if STUDY.config.phantom else [],
    output:
        page=RESULTS + "/report/index.html",
        crate=RESULTS + "/provenance/ro-crate-metadata.json",
    log:
        RESULTS + "/logs/report.log",
    params:
        study=encode(STUDY),
        code=code_digest("report"),
    script:
        "../scripts/report.py"

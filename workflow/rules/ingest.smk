if STUDY.config.phantom:

    rule phantom:
        """A digital study only: write its raw files as the scanner would, from a known truth."""
        output:
            truth=RESULTS + "/work/phantom/truth.csv",
        log:
            RESULTS + "/logs/phantom.log",
        params:
            study=encode(STUDY),
            code=code_digest(),
        script:
            "../scripts/phantom.py"


rule ingest:
    """List a subject's raw files with their SHA-256."""
    input:
        RESULTS + "/work/phantom/truth.csv" if STUDY.config.phantom else [],
    output:
        manifest=WORK + "/manifest.json",
        qc=WORK + "/qc_ingest.csv",
    log:
        RESULTS + "/logs/ingest/{modality}_{subject}.log",
    params:
        contexts=told,
        raw=raw,
        code=code,
    script:
        "../scripts/ingest.py"

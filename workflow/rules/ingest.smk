if STUDY.config.phantom:

    rule phantom:
        """A digital study only: write a subject's raw files as the scanner would, from a known truth."""
        output:
            truth=STAGED + "/truth.csv",
        log:
            RESULTS + "/logs/phantom/{modality}_{subject}.log",
        params:
            study=told_study,
            code=phantom_code,
        script:
            "../scripts/phantom.py"


rule ingest:
    """List a subject's raw files with their SHA-256."""
    input:
        STAGED + "/truth.csv" if STUDY.config.phantom else [],
    output:
        manifest=STAGED + "/manifest.json",
        qc=STAGED + "/qc_ingest.csv",
    log:
        RESULTS + "/logs/ingest/{modality}_{subject}.log",
    params:
        contexts=told,
        raw=raw,
        code=code,
    script:
        "../scripts/ingest.py"

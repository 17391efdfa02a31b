rule organs:
    """Bring a subject's organ maps to the grids of its scans."""
    input:
        manifest=STAGED + "/manifest.json",
        quantities=STAGED + "/quantity",
    output:
        organs=directory(STAGED + "/organs"),
        qc=STAGED + "/qc_organs.csv",
    log:
        RESULTS + "/logs/organs/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    resources:
        mem_mb=4000,
    script:
        "../scripts/organs.py"

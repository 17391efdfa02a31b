rule quantify:
    """Measure a subject's organs in every scan, draw each scan with its organs, and write its organ maps for other programs."""
    input:
        quantities=STAGED + "/quantity",
        organs=STAGED + "/organs",
    output:
        tables=directory(STAGED + "/measured"),
        pictures=directory(STAGED + "/pictures"),
        organs=directory(RESULTS + "/organs/{modality}_{subject}"),
        qc=STAGED + "/qc_quantify.csv",
    log:
        RESULTS + "/logs/quantify/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    resources:
        mem_mb=4000,
    script:
        "../scripts/quantify.py"

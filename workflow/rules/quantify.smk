rule quantify:
    """Measure a subject's organs in every scan, and draw each scan with its organs."""
    input:
        quantities=WORK + "/quantity",
        organs=WORK + "/organs",
    output:
        tables=directory(WORK + "/measured"),
        pictures=directory(WORK + "/pictures"),
        qc=WORK + "/qc_quantify.csv",
    log:
        RESULTS + "/logs/quantify/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    resources:
        mem_mb=4000,
    script:
        "../scripts/quantify.py"

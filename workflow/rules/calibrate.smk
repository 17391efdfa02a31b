rule calibrate:
    """Read a subject's scans and calibrate them: one NIfTI of the physical quantity per scan."""
    input:
        STAGED + "/manifest.json",
    output:
        quantities=directory(STAGED + "/quantity"),
        qc=STAGED + "/qc_calibrate.csv",
    log:
        RESULTS + "/logs/calibrate/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    resources:
        mem_mb=4000,
    script:
        "../scripts/calibrate.py"

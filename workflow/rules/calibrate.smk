rule calibrate:
    """Read a subject's scans and calibrate them: one NIfTI of the physical quantity per scan."""
    input:
        WORK + "/manifest.json",
    output:
        quantities=directory(WORK + "/quantity"),
        qc=WORK + "/qc_calibrate.csv",
    log:
        RESULTS + "/logs/calibrate/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    resources:
        mem_mb=4000,
    script:
        "../scripts/calibrate.py"

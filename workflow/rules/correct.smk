rule correct:
    """Follow a subject's label: decay, dose, division, loss; from signal to %ID, SUV and cells."""
    input:
        tables=STAGED + "/measured",
    output:
        rows=STAGED + "/corrected.csv",
        qc=STAGED + "/qc_correct.csv",
    log:
        RESULTS + "/logs/correct/{modality}_{subject}.log",
    params:
        contexts=told,
        code=code,
    script:
        "../scripts/correct.py"

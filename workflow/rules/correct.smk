rule correct:
    """Follow a subject's label: decay, dose, division, loss; from signal to %ID, SUV and cells."""
    input:
        tables=STAGED + "/measured",
        controls=control_tables,
    output:
        rows=STAGED + "/corrected.csv",
        qc=STAGED + "/qc_correct.csv",
    log:
        RESULTS + "/logs/correct/{modality}_{subject}.log",
    params:
        contexts=told,
        controls=lambda wildcards: encode(controls(wildcards)),
        control_subjects=control_subjects,
        code=code,
    script:
        "../scripts/correct.py"

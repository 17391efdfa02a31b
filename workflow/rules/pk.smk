rule pk:
    """Hand the curves over to NONMEM and Monolix, and analyse them without compartments."""
    input:
        RESULTS + "/curves/biodistribution.csv",
    output:
        nonmem=RESULTS + "/pk/nonmem.csv",
        monolix=RESULTS + "/pk/monolix.csv",
        nca=RESULTS + "/pk/nca.csv",
        ids=RESULTS + "/pk/id_map.csv",
        qc=RESULTS + "/qc/pk.csv",
    log:
        RESULTS + "/logs/pk.log",
    params:
        study=encode(STUDY),
        code=code_digest(),
    script:
        "../scripts/pk.py"

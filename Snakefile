# The workflow itself is in workflow/, so that it can also be deployed as a Snakemake module.
include: "workflow/Snakefile"

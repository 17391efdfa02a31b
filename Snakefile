# The workflow itself is in workflow/, so that it can also be deployed as a Snakemake module.
include: "workflow/Snakefile"


# An included file cannot set the default target of the file that includes it.
workflow.default_target = "all"

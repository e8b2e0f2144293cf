"""CodePipeline: which run of a pipeline made a deployment, and what follows a rollback for the pipeline.

`adapter` calls CodePipeline, `runs` are its answers as values, `rules` what follows from them (pure), `commands` what
people can paste into a shell, `follow_ups` what is done beside a rollback (`hold`, `rerun`; `turn` records it),
`wording` the sentences about it.
"""

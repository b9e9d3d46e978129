"""``emo-bench plan``: what a run would do, before it does it."""

from __future__ import annotations

import typer

from emo_bench.cli.options import AllowOption, ConfigOption, JsonOption, SetOption, say


def plan(
    config: ConfigOption, overrides: SetOption = None, allow_system: AllowOption = None, as_json: JsonOption = False
) -> int:
    """Show units of work, what is already done, estimated time and disk space, and what cannot be computed here."""
    from emo_bench.cli.options import print_json
    from emo_bench.config.schema import REFERENCE_SET
    from emo_bench.data.sets.kind import open_dataset
    from emo_bench.engine.context import RunContext
    from emo_bench.engine.loading import check_before_work
    from emo_bench.engine.plan import forecast
    from emo_bench.runner.permission import check_programs
    from emo_bench.runner.reference_set import open_reference, reference_context
    from emo_bench.runner.run import spec_of
    from emo_bench.runner.suite import load_suite
    from emo_core.errors import ExitCode

    suite = load_suite(config, overrides or [])
    check_programs(suite, allow_system or ())
    dataset = open_dataset(suite.config, suite.base)
    context = RunContext(spec_of(suite, dataset.manifest))
    missing = check_before_work(context.loader)
    found = forecast(context)
    reference = open_reference(suite)
    if reference is not None:
        own = forecast(reference_context(suite, reference, context))
        found = found.beside(own, name=REFERENCE_SET)
    if as_json:
        print_json(
            {
                "units": {name: {"all": total, "done": done} for name, (total, done) in found.units.items()},
                "seconds": found.seconds,
                "bytes": found.bytes,
                "bytes_by_system": dict(found.bytes_by_system),
                "basis": found.basis,
                "unavailable": {entry.protocol: entry.reason for entry in missing},
            }
        )
        return ExitCode.OK
    say(f"{dataset.name}: {len(context.entries)} clips")
    for name, (total, done) in found.units.items():
        size = found.bytes_by_system.get(name, 0)
        typer.echo(f"  {name:<24} {total:>6} units, {done} done, rest {size / 1e6:.1f} MB")
    typer.echo(f"rest: about {found.seconds / 60:.1f} minutes, {found.bytes / 1e9:.2f} GB ({found.basis})")
    for entry in missing:
        say(f"cannot compute {entry.protocol}: {entry.reason}")
    return ExitCode.OK

"""`vcm train`: the loop, with a line for each record."""

import click

from vcm.train.config import Training
from vcm.train.loop import train


def run(config: Training) -> None:
    """Train to the end; Ctrl-C stops, and the same command goes on from the last checkpoint."""
    total = config.optim.steps
    click.echo(f"folder {config.run.folder}, {total} steps, Ctrl-C stops, the same command resumes")
    for r in train(config):
        left = (total - r["step"]) * r["seconds"] / 3600
        click.echo(
            f"step {r['step']:6.0f}/{total}  loss {r['loss']:.4f}  bpp {r['bpp']:.4f}  "
            f"{r['seconds']:.2f} s/step  {left:.1f} h left"
        )
        if "q50_s1.0_psnr" in r:
            points = [
                f"q{q}: {r[f'q{q}_s1.0_bpp']:.3f} bpp {r[f'q{q}_s1.0_psnr']:.2f} dB"
                for q in (0, 25, 50, 75, 100)
            ]
            click.echo("  held out, even: " + ", ".join(points))

"""The W&B workspace and report of this project, as code.

    python experiments/dashboard.py ENTITY PROJECT

makes (or makes again) a workspace with training and evaluation panels and a report that compares
evaluations; needs an account (`wandb login`) and the package wandb-workspaces.
"""

import argparse

import wandb_workspaces.reports.v2 as reports
import wandb_workspaces.workspaces as workspaces

SIGMAS, QUALITIES = (1.0, 0.1), (0, 25, 50, 75, 100)
SHARES = (99, 95, 90)


def lines(title: str, keys: list[str], x: str = "Step") -> reports.LinePlot:
    """One panel of curves."""
    return reports.LinePlot(title=title, x=x, y=keys)


def training() -> list[workspaces.Section]:
    """Loss terms, held-out curves by quality and sigma, pictures."""
    terms = [lines(name, [f"train/{name}"]) for name in ("loss", "bpp", "mse", "task", "lr")]
    sections = [workspaces.Section(name="training", panels=terms, is_open=True)]
    for sigma in SIGMAS:
        head = f"held out sigma {sigma}"
        panels = [
            lines(
                f"{what}, sigma {sigma}", [f"{head}/q{q}_s{sigma}_{key}" for q in QUALITIES]
            )
            for what, key in (
                ("bits per pixel", "bpp"), ("PSNR of the ROI", "psnr"), ("background", "bg"),
            )
        ]  # fmt: skip
        sections.append(workspaces.Section(name=head, panels=panels, is_open=True))
    pictures = reports.MediaBrowser(media_keys=["samples"])
    return [*sections, workspaces.Section(name="pictures", panels=[pictures], is_open=True)]


def evaluation() -> workspaces.Section:
    """Curves and pages of `vcm eval --wandb`."""
    curves = ["curves/AP", "curves/mIoU", "curves/ROI-PSNR", "curves/PSNR", "curves/MS-SSIM"]
    panels = [reports.MediaBrowser(media_keys=[key]) for key in [*curves, "page"]]
    return workspaces.Section(name="evaluation", panels=panels, is_open=True)


def workspace(entity: str, project: str) -> workspaces.Workspace:
    """All panels."""
    return workspaces.Workspace(
        name="vcm", entity=entity, project=project, sections=[*training(), evaluation()]
    )


def report(entity: str, project: str) -> reports.Report:
    """A page that compares evaluations: bits at shares of the uncompressed score, curves."""
    bars = [
        reports.BarPlot(title=f"bits per pixel at {s} %", metrics=[f"bpp at {s} %/vcm, sigma 0.1"])
        for s in SHARES
    ]
    runs = reports.Runset(entity=entity, project=project)
    return reports.Report(
        entity=entity,
        project=project,
        title="How many bits does it need?",
        description="Evaluations by `vcm eval --wandb`.",
        blocks=[
            reports.H1("How many bits does it need?"),
            reports.P(
                "Bits per pixel at which the task score reaches a share of its uncompressed value."
            ),
            reports.PanelGrid(runsets=[runs], panels=bars),
            reports.PanelGrid(runsets=[runs], panels=evaluation().panels),
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("entity")
    parser.add_argument("project")
    given = parser.parse_args()
    for made in (workspace(given.entity, given.project), report(given.entity, given.project)):
        made.save()
        print(made.url)


if __name__ == "__main__":
    main()

"""The W&B workspace and report of this project, as code.

    python experiments/dashboard.py ENTITY PROJECT

makes (or makes again) a workspace with training and evaluation panels and a report that compares
evaluations; needs an account (`wandb login`) and pip install 'vcm[dashboard]'.
"""

import argparse

import wandb_workspaces.reports.v2 as reports
import wandb_workspaces.workspaces as workspaces

SIGMAS, QUALITIES = (1.0, 0.1), (0, 25, 50, 75, 100)
SHARES = (99, 95, 90)
METRICS = ("AP", "mask_AP", "mIoU", "ROI-PSNR", "PSNR", "MS-SSIM")
CODECS = (  # as `vcm eval` calls them; bars of what an evaluation lacks stay empty
    "vcm, sigma 0.03", "vcm, sigma 0.1", "vcm, sigma 0.3", "vcm, sigma 1",
    "vcm yolo11n, sigma 0.3", "vcm tuned, sigma 0.3",  # the built-in one, the guide's
    "vcm codec, sigma 0.3",  # a run's own codec.safetensors: of a sweep
    "x265 4:2:0", "x265 4:2:0, QP map -8", "vvenc", "vvenc, background blurred (3 px)",
    "vvenc, flat background", "AVIF",
)  # fmt: skip


def lines(title: str, keys: list[str], x: str = "train/step") -> reports.LinePlot:
    """One panel of curves."""
    return reports.LinePlot(title=title, x=x, y=keys)


def bar(title: str, head: str) -> reports.BarPlot:
    """One number of each codec."""
    return reports.BarPlot(title=title, metrics=[f"{head}/{codec}" for codec in CODECS])


def training() -> list[workspaces.Section]:
    """Loss terms, held-out curves by quality and sigma, pictures."""
    names = ("loss", "bpp", "mse", "roi", "background", "task", "lr", "seconds")
    terms = [lines(name, [f"train/{name}"]) for name in names]
    sections = [workspaces.Section(name="training", panels=terms, is_open=True)]
    for sigma in SIGMAS:
        head = f"held out sigma {sigma}"
        panels = [
            lines(
                f"{what}, sigma {sigma}", [f"{head}/q{q}_s{sigma}_{key}" for q in QUALITIES]
            )
            for what, key in (
                ("bits per pixel", "bpp"), ("PSNR of the ROI", "psnr"), ("background", "bg"),
                ("task term", "task"),
            )
        ]  # fmt: skip
        sections.append(workspaces.Section(name=head, panels=panels, is_open=True))
    pictures = reports.MediaBrowser(media_keys=["samples"])
    return [*sections, workspaces.Section(name="pictures", panels=[pictures], is_open=True)]


def evaluation() -> workspaces.Section:
    """Curves and pages of `vcm eval --wandb`."""
    curves = [f"curves/{metric}" for metric in METRICS]
    panels = [reports.MediaBrowser(media_keys=[key]) for key in [*curves, "page"]]
    panels.append(reports.WeavePanelSummaryTable(table_name="points"))
    return workspaces.Section(name="evaluation", panels=panels, is_open=True)


def workspace(entity: str, project: str) -> workspaces.Workspace:
    """All panels."""
    return workspaces.Workspace(
        name="vcm", entity=entity, project=project, sections=[*training(), evaluation()]
    )


def report(entity: str, project: str) -> reports.Report:
    """A page that compares evaluations: bits at shares of the uncompressed score, BD-rates."""
    bars = [
        bar(f"bits per pixel at {share} % of the score", f"bpp at {share} %") for share in SHARES
    ]
    rates = [bar(f"BD-rate on {metric}", f"BD-rate {metric}") for metric in METRICS]
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
            reports.H1("Percent of bits at equal score"),
            reports.PanelGrid(runsets=[runs], panels=rates),
            reports.H1("Curves, pages, points"),
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
